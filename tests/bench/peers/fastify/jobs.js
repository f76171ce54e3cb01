// jobs.js: the job that a client sends: its form, what it is held against, and how it is stored.
'use strict'

const { X509Certificate } = require('node:crypto')

const UNITS = { '': 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 }
const INSTANT = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?$/i

// What cannot be said here is said by read() below.
const body = {
  type: 'object',
  required: ['source', 'type', 'title', 'timeFrame', 'schedulerParam', 'jobParams', 'suspended'],
  properties: {
    source: { type: 'string', pattern: '[^ \\t\\r\\n]' },
    type: { enum: ['UCS', 'DataSync'] },
    title: { type: 'string', pattern: '[^ \\t\\r\\n]', maxLength: 255 },
    description: { type: 'string', maxLength: 4000, nullable: true },
    timeFrame: {
      type: 'object',
      properties: {
        all: { type: 'boolean' }, dateFrom: { type: 'string', nullable: true },
        dateTo: { type: 'string', nullable: true }
      }
    },
    schedulerParam: {
      type: 'object',
      properties: { immediately: { type: 'boolean' }, startDate: { type: 'string' } }
    },
    jobParams: {
      type: 'object',
      required: ['type', 'media'],
      properties: {
        type: { type: 'string', pattern: '[^ \\t\\r\\n]' },
        media: { type: 'array', items: { type: 'string', minLength: 1 } },
        exportAttachments: { type: 'boolean' },
        fileSplitSize: { type: 'string', nullable: true },
        filters: { type: 'array', maxItems: 0 } // what has any is none of the measured jobs
      }
    },
    suspended: { type: 'boolean' }
  }
}

function fault (Problem, pointer, detail) {
  return new Problem(400, 'the job is not valid', [{ pointer, detail }])
}

// An instant, or a date, which means its midnight, as PostgreSQL reads it.
function instant (value, pointer, Problem) {
  if (value === undefined || value === null) return null
  const match = INSTANT.exec(value)
  const time = match && Date.parse(match[1] ? value.replace(' ', 'T') : value + 'T00:00:00Z')
  if (!match || Number.isNaN(time)) throw fault(Problem, pointer, 'must be an RFC 3339 date or instant')
  return { text: match[1] ? value : value + 'T00:00:00Z', time }
}

function bytes (value, Problem) {
  if (!value) return null
  const match = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(value)
  const size = match ? Number(match[1]) * UNITS[match[2].toLowerCase()] : NaN
  if (!Number.isSafeInteger(size) || size < 65536) {
    throw fault(Problem, '/jobParams/fileSplitSize', 'must be a number of bytes, at least 65536')
  }
  return size
}

function read (sent, Problem) {
  const { timeFrame, schedulerParam, jobParams } = sent
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(sent.title)) {
    throw fault(Problem, '/title', 'must not hold control characters')
  }
  const from = instant(timeFrame.dateFrom, '/timeFrame/dateFrom', Problem)
  const to = instant(timeFrame.dateTo, '/timeFrame/dateTo', Problem)
  if (timeFrame.all && (from || to)) {
    throw fault(Problem, '/timeFrame/all', 'cannot stand beside dateFrom or dateTo')
  }
  if (from && to && to.time <= from.time) {
    throw fault(Problem, '/timeFrame/dateTo', 'must be later than dateFrom')
  }
  const { immediately, startDate, cron, runs } = schedulerParam
  const start = instant(startDate, '/schedulerParam/startDate', Problem)
  if (cron !== undefined || runs !== undefined || (immediately && start) ||
      (immediately === false && !start)) {
    throw fault(Problem, '/schedulerParam', 'must be immediately, or a startDate')
  }
  return {
    family: sent.type, source: sent.source, type: jobParams.type, title: sent.title,
    description: sent.description || null, all: timeFrame.all === true, from, to, start,
    media: jobParams.media, attachments: jobParams.exportAttachments === true,
    fileSplitSize: jobParams.fileSplitSize || '', splitBytes: bytes(jobParams.fileSplitSize, Problem),
    scheduleType: start ? 'once' : 'immediately', schedule: { immediately, startDate },
    suspended: sent.suspended
  }
}

// The certificate must be one that a run of the job could encrypt for (Node does not tell its key usage).
function checkCertificate (row, Problem) {
  if (row.pem === null) throw new Problem(400, 'there is no certificate to encrypt the export for')
  if (row.expired) throw new Problem(400, 'the certificate to encrypt the export for has expired')
  let certificate
  try {
    certificate = new X509Certificate(row.pem)
  } catch (error) {
    throw new Problem(400, 'the certificate cannot be read')
  }
  const now = Date.now()
  const key = certificate.publicKey
  if (key.asymmetricKeyType !== 'rsa' || key.asymmetricKeyDetails.modulusLength < 2048 ||
      key.asymmetricKeyDetails.modulusLength > 16384) {
    throw new Problem(400, 'the certificate needs an RSA key of 2048 to 16384 bits')
  }
  if (now < Date.parse(certificate.validFrom) || now >= Date.parse(certificate.validTo) + 1000) {
    throw new Problem(400, 'the certificate is not valid now')
  }
}

function check (job, row, who, Problem) {
  if (row.type !== null && !who.rights.some(
    right => right.write && right.source === row.source && right.type === row.type)) {
    throw new Problem(403, `this needs a role that may export data of type "${row.type}"`)
  }
  if (row.source === null) throw fault(Problem, '/source', 'there is no such source')
  if (job.family !== row.family) throw fault(Problem, '/type', `the source is of family ${row.family}`)
  if (row.type === null) throw fault(Problem, '/jobParams/type', 'there is no such type in the source')
  job.source = row.source
  if (!job.all && !row.has_time) throw fault(Problem, '/timeFrame', 'data of this type has no time')
  const legal = row.media || []
  if (job.media.length > 0 && !row.has_media) {
    throw fault(Problem, '/jobParams/media', 'data of this type has no media')
  }
  job.media = [...new Set(job.media.map(name => {
    const found = legal.find(medium => medium.toLowerCase() === name.toLowerCase())
    if (found === undefined) throw fault(Problem, '/jobParams/media', `there is no medium "${name}"`)
    return found
  }))]
  checkCertificate(row, Problem)
}

// The parameters of job_insert.
function values (job, who, address, requestId) {
  return [who.ccid, job.family, job.source, job.type, job.title, job.description, job.all,
    job.from && job.from.text, job.to && job.to.text, job.media, job.attachments,
    job.fileSplitSize || null, job.splitBytes, job.scheduleType, JSON.stringify(job.schedule),
    job.start && job.start.text, job.suspended, who.subject, who.keyId, address, requestId, '[]']
}

module.exports = { body, read, check, values }
