// A worker of graphile-worker. Its task writes the number it was given, and that is all.
'use strict'

const { writeSync } = require('node:fs')
const { Logger, run } = require('graphile-worker')

async function main () {
  const runner = await run({
    connectionString: process.argv[2],
    logger: new Logger(() => () => {}),
    taskList: {
      start: async ({ number }) => { writeSync(1, `begins ${number}\n`) }
    }
  })
  await runner.promise
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
