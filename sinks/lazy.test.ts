import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/** What of other people's code is in a process of its own that has loaded this type of sink, as a configuration does. */
async function librariesOf(type: string): Promise<readonly string[]> {
  const program = `
    import { createRequire } from 'node:module'
    import { sinkTypes } from './sinks/index.ts'
    await sinkTypes[${JSON.stringify(type)}]()
    const { cache } = createRequire(process.cwd() + '/')
    const names = Object.keys(cache).map((path) => path.split('/node_modules/').at(-1).split('/')[0])
    console.log([...new Set(names)].join())`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  return stdout.trim().split(',')
}

test('the Kafka client is loaded for a Kafka sink, and for no other', async () => {
  assert.ok((await librariesOf('kafka')).includes('kafkajs'))
  assert.ok(!(await librariesOf('stdout')).includes('kafkajs'))
})
