import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { configurationFiles } from '../config/generate.ts'
import { ExitCode } from './exit-code.ts'
import { validate } from './validate.ts'

async function run(text: string, env: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-validate-'))
  try {
    const file = join(folder, 'bridge.yaml')
    await writeFile(file, text)
    const out: string[] = []
    const err: string[] = []
    const code = await validate({
      file,
      env,
      stdout: { write: (chunk: string) => out.push(chunk) },
      stderr: { write: (chunk: string) => err.push(chunk) },
    })
    const shown = (chunks: readonly string[]) => chunks.join('').replaceAll(file, 'bridge.yaml')
    return { code, out: shown(out), err: shown(err) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('a valid configuration is summarised on standard output', async () => {
  const text = `apiVersion: deltawire.io/v1
kind: Bridge
sources:
  - { name: workloads, resources: [pods, deployments.apps], namespaces: [shop, pay] }
  - { resources: [nodes] }
routes:
  - { name: changes, from: [workloads], to: [hook] }
  - { name: all, to: [out] }
sinks:
  - { name: hook, type: webhook, url: 'https://receiver.example.com/events', required: false }
  - { name: out, type: stdout }
`
  assert.deepEqual(await run(text), {
    code: ExitCode.done,
    out: `bridge.yaml is valid
source workloads: pods, deployments.apps in shop, pay
source nodes: nodes in all namespaces
route changes: workloads -> hook
route all: all sources -> out
sink hook: webhook, not required
sink out: stdout
`,
    err: '',
  })
})

test('S6 what is wrong goes to standard error, a line for each, and the exit code is 2', async () => {
  const text = `apiVersion: deltawire.io/v1
kind: Bridge
sources: [{ resources: [pods], labelSelctor: app=web }]
routes: [{ name: r, to: [hok] }]
sinks: [{ name: hook, type: webhook, url: 'http://receiver.example.com/?token=hunter2' }]
`
  const { code, out, err } = await run(text, { DELTAWIRE_LOG_LEVEL: 'loud' })
  assert.equal(code, ExitCode.usage)
  assert.equal(out, '')
  assert.deepEqual(
    err.split('\n').map((line) => line.replace(/url: .*/, 'url: …')),
    [
      'bridge.yaml:3:32 sources[0].labelSelctor: unknown key; did you mean labelSelector?',
      'bridge.yaml:4:26 routes[0].to[0]: there is no sink "hok"; did you mean hook?',
      'bridge.yaml:5:43 sinks[0].url: …',
      'environment DELTAWIRE_LOG_LEVEL log.level: "loud" is not valid; expected one of trace, debug, info, warn, error, fatal',
      'the configuration is not valid: 4 problems',
      '',
    ],
  )
  assert.equal(err.includes('hunter2'), false)
})

test('the example of docs/configuration.md is valid', async () => {
  const [document] = await configurationFiles()
  const example = /```yaml\n(.*?)```/s.exec(document?.content ?? '')?.[1]
  const { code, err } = await run(example ?? '')
  assert.deepEqual([code, err], [ExitCode.done, ''])
})
