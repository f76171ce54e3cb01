// server.js: the operations that the benchmarks measure, as a user of Fastify would write them: a
// process for each core, named (hence prepared) statements on a pool of pg, response schemas, tokens
// checked by @fastify/jwt, no logger. The one argument is a file of settings, see peers.py.
'use strict'

const cluster = require('node:cluster')
const fs = require('node:fs')
const { createHash, randomUUID, timingSafeEqual } = require('node:crypto')

const jobs = require('./jobs')

const settings = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))

const TITLES = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
                 500: 'Internal Server Error' }

const text = { type: 'string' }
const maybeText = { type: 'string', nullable: true }
const jobInfo = {
  type: 'object',
  properties: {
    id: { type: 'integer' }, type: text, source: text, title: text, fileSplitSize: text,
    fileName: maybeText, fileSize: { type: 'integer' }, status: text, createdDate: text,
    dateFrom: maybeText, dateTo: maybeText, description: text, media: { type: 'array', items: text },
    progress: { type: 'integer' }, parentId: { type: 'integer' }, exportAttachments: { type: 'boolean' },
    statusReason: text
  }
}
const page = {
  type: 'object',
  properties: {
    count: { type: 'integer' }, from: { type: 'integer' }, items: { type: 'array', items: jobInfo },
    size: { type: 'integer' }
  }
}

class Problem extends Error {
  constructor (status, detail, errors) {
    super(detail)
    this.statusCode = status
    this.errors = errors
  }
}

function sha256 (data, encoding) {
  return createHash('sha256').update(data).digest(encoding)
}

// What is not there (null) is no member.
function withoutReason (row) {
  if (row.statusReason === null) row.statusReason = undefined
  return row
}

async function build () {
  const pg = require('pg')
  const app = require('fastify')({
    logger: false,
    keepAliveTimeout: 72000,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } }
  })
  pg.types.setTypeParser(pg.types.builtins.INT8, Number)
  const pool = new pg.Pool({
    host: settings.socket, database: settings.database, user: 'udm_httpd', max: settings.pool,
    min: settings.pool, idleTimeoutMillis: 0, statement_timeout: 30000
  })

  function query (name, values) {
    return pool.query({ name, text: settings.sql[name], values }).then(result => result.rows)
  }

  await app.register(require('@fastify/jwt'), {
    secret: { public: settings.public_key },
    sign: { algorithm: 'RS256' },
    verify: {
      algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'], clockTolerance: 60000,
      requiredClaims: ['exp'], checkTyp: 'JWT', cache: settings.cache > 0,
      cacheTTL: settings.cache * 1000
    }
  })

  app.decorateRequest('who', null)
  app.decorateRequest('requestId', '')

  function readToken (request) {
    const header = request.headers.authorization
    if (!header || !header.startsWith('Bearer ')) {
      throw new Problem(401, 'send a token in the header Authorization: Bearer <token>')
    }
    let claims
    try {
      claims = app.jwt.verify(header.slice(7))
    } catch (error) {
      throw new Problem(401, 'the token is not valid')
    }
    const ccid = claims.contact_center_id
    if (typeof ccid !== 'string' || ccid === '') {
      throw new Problem(403, 'the token does not name a contact centre')
    }
    const roles = Array.isArray(claims.authorities) ? claims.authorities : [claims.authorities]
    return {
      ccid,
      subject: typeof claims.sub === 'string' ? claims.sub : '',
      roles: roles.map(role => role && typeof role === 'object' ? role.name : role)
        .filter(role => typeof role === 'string' && role !== '' && role !== '*')
    }
  }

  // Who showed these credentials a moment ago: settings.cache seconds, 0 for no cache.
  const known = new Map()

  function recall (id) {
    const found = known.get(id)
    return found && performance.now() < found.until ? found.who : undefined
  }

  function remember (id, who, goodFor, since) {
    if (known.size >= 1000) known.clear()
    const seconds = goodFor === null ? settings.cache : Math.min(goodFor, settings.cache)
    known.set(id, { who, until: since + seconds * 1000 })
  }

  // What both the key and the token allow.
  function common (keyRights, tokenRights) {
    const rights = []
    for (const [source, type, read, write] of keyRights || []) {
      for (const other of tokenRights || []) {
        if (other[0] === source && other[1] === type) {
          rights.push({ source, type, read: read && other[2], write: write && other[3] })
        }
      }
    }
    return rights
  }

  // What was found for the roles of a generation is good as long as that is, but for a minute at most.
  const rightsKnown = new Map()

  async function rightsOf (generation, keyRoles, token) {
    const id = JSON.stringify([generation, token.ccid, keyRoles, token.roles])
    const found = rightsKnown.get(id)
    const now = performance.now()
    if (found && now < found.until) return found.rights
    const [row] = await query('rights', [keyRoles, token.roles, token.ccid])
    const rights = common(row.key_rights, row.token_rights)
    if (rightsKnown.size >= 1000) rightsKnown.clear()
    rightsKnown.set(id, { rights, until: now + 60000 })
    return rights
  }

  async function lookUp (id, secret, token) {
    const [row] = await query('authenticate', [id, token.ccid])
    if (row.secret === null || !timingSafeEqual(Buffer.from(row.secret, 'hex'), secret) || row.revoked) {
      throw new Problem(401, 'the API key is not valid')
    }
    if (row.expired) throw new Problem(401, 'the API key has expired')
    if (row.key_ccid !== token.ccid) {
      throw new Problem(403, 'the API key and the token belong to different contact centers')
    }
    if (row.token_ccid === null) {
      throw new Problem(403, 'the contact center of the token is not known here')
    }
    const rights = await rightsOf(row.generation, row.key_roles, token)
    if (row.use_is_news) await query('key_used', [id])
    const readable = rights.filter(right => right.read)
    const who = {
      ccid: token.ccid, subject: token.subject, keyId: id, rights,
      sources: readable.map(right => right.source), types: readable.map(right => right.type)
    }
    return { who, goodFor: row.good_for }
  }

  async function authenticate (request) {
    const sent = request.headers['x-api-key']
    const parts = sent === undefined ? null : /^udm_([0-9a-f]{12})_([0-9a-f]{64})$/.exec(sent)
    if (sent !== undefined && parts === null) throw new Problem(401, 'the API key is not valid')
    const token = readToken(request)
    if (parts === null) throw new Problem(401, 'send an API key in the header x-api-key')
    const secret = sha256(parts[2])
    if (settings.cache === 0) {
      request.who = (await lookUp(parts[1], secret, token)).who
      return
    }
    const id = [parts[1], secret.toString('hex'), token.ccid, token.subject, ...token.roles].join('\n')
    const since = performance.now()
    request.who = recall(id)
    if (request.who === undefined) {
      const { who, goodFor } = await lookUp(parts[1], secret, token)
      remember(id, who, goodFor, since)
      request.who = who
    }
  }

  // Errors are problem documents (RFC 9457).
  app.setErrorHandler((error, request, reply) => {
    const faults = error.validation && error.validation.map(
      fault => ({ pointer: fault.instancePath, detail: fault.message }))
    const status = error.statusCode && error.statusCode < 500 ? error.statusCode : 500
    if (status === 401) reply.header('WWW-Authenticate', 'Bearer realm="UDM"')
    reply.code(status).type('application/problem+json').serializer(JSON.stringify).send({
      type: 'about:blank', title: TITLES[status], status,
      detail: status === 500 ? 'the server made a mistake' : error.message, errors: faults || error.errors
    })
  })

  app.addHook('onRequest', async (request, reply) => {
    const sent = request.headers['x-request-id']
    request.requestId = sent && /^[A-Za-z0-9._\-:+/=@]{1,128}$/.test(sent) ? sent : randomUUID()
    reply.header('Cache-Control', 'no-store')
    reply.header('X-Content-Type-Options', 'nosniff')
    reply.header('X-Request-Id', request.requestId)
    await authenticate(request)
  })

  // The entity tag of a job, and the 304 that it may call for.
  async function tag (request, reply, payload) {
    if (reply.statusCode >= 300 || typeof payload !== 'string') return payload
    const etag = `"${sha256(payload, 'hex').slice(0, 32)}"`
    reply.header('ETag', etag)
    if (request.method === 'GET' && request.headers['if-none-match'] === etag) {
      reply.code(304)
      return ''
    }
    return payload
  }

  app.get('/udm/v10/export/jobs/:id', {
    schema: { response: { 200: jobInfo } },
    onSend: tag
  }, async (request, reply) => {
    const id = request.params.id
    if (!/^0*[1-9][0-9]{0,17}$/.test(id)) {
      throw new Problem(400, 'the id in the path must be a positive number')
    }
    const who = request.who
    const [row] = await query('job_get', [id, who.ccid])
    if (!row || !who.rights.some(
      right => right.read && right.source === row.source && right.type === row.type)) {
      throw new Problem(404, 'there is no job with this id')
    }
    reply.header('Cache-Control', 'private, no-cache')
    return withoutReason(row)
  })

  app.get('/udm/v10/export/history', {
    schema: { response: { 200: page } }
  }, async (request, reply) => {
    const from = Number(request.query.from || 0)
    const size = Number(request.query.size || 999999999)
    if (!Number.isSafeInteger(from) || from < 0) throw new Problem(400, 'from must be a number from 0 on')
    if (!Number.isSafeInteger(size) || size < 1) throw new Problem(400, 'size must be a number from 1 on')
    const who = request.who
    const [[{ count }], items] = await Promise.all([
      query('run_count', [who.ccid, who.sources, who.types]),
      query('run_page', [who.ccid, who.sources, who.types, size, from])
    ])
    if (count === 0) {
      reply.code(204)
      return
    }
    return { count, from, items: items.map(withoutReason), size }
  })

  app.post('/udm/v10/export/jobs', {
    schema: { body: jobs.body, response: { 202: jobInfo } },
    onSend: tag
  }, async (request, reply) => {
    const job = jobs.read(request.body, Problem)
    const who = request.who
    const [row] = await query('job_check', [job.source, job.type, who.ccid])
    jobs.check(job, row, who, Problem)
    const [made] = await query('job_insert', jobs.values(job, who, request.ip, request.requestId))
    await query('job_hint', [])
    reply.code(202).header('Location', `${settings.url}/v10/export/jobs/${made.id}`)
    return {
      id: made.id, type: job.type, source: job.source, title: job.title,
      fileSplitSize: job.fileSplitSize, fileName: null, fileSize: 0, status: made.status,
      createdDate: made.created, dateFrom: made.dateFrom, dateTo: made.dateTo,
      description: job.description || '', media: job.media, progress: 0, parentId: 0,
      exportAttachments: job.attachments
    }
  })
  return app
}

if (cluster.isPrimary) {
  for (let i = 0; i < settings.processes; i++) cluster.fork()
  // One that dies is not to be made up for in the middle of a measurement.
  cluster.on('exit', (worker, code) => { if (code !== 0) process.exit(1) })
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
  })
} else {
  process.on('SIGTERM', () => process.exit(0))
  build().then(app => app.listen({ host: '127.0.0.1', port: settings.port, backlog: 511 }))
    .catch(error => {
      console.error(error)
      process.exit(1)
    })
}
