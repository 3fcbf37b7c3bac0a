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
  assert.equal(code, ExitCode.done)
  assert.match(err, /^warning: [^\n]*sinks\[0\]\.auth\.bearer\.file: there is no such file here\n$/)
})

test('what is valid but useless is a warning for each, and changes no exit code', async () => {
  const text = `apiVersion: deltawire.io/v1
kind: Bridge
redaction: { key: { file: /nonexistent/key } }
sources:
  - { name: workloads, resources: [pods] }
  - { name: idle, resources: [nodes, deployments] }
routes:
  - { name: changes, from: [workloads], to: [hook, near, open] }
  - { name: rest, from: [workloads], to: [near], on: [added] }
sinks:
  - { name: hook, type: webhook, url: 'https://r.example.com', headers: { file: x, x-key: { file: /nonexistent/a } } }
  - { name: out, type: stdout }
  - { name: near, type: webhook, url: 'https://localhost:8443/' }
  - { name: open, type: webhook, url: 'https://localhost/', network: { allow: [127.0.0.1/32, '::1/128'] }, queue: { whenFull: block } }
`
  const env = {
    DELTAWIRE_LOGLEVEL: 'debug',
    DELTAWIRE_LOG_FORMAT: '',
    DELTAWIRE_LOG_FORMATS: '',
    DELTAWIRE_TOKEN_OF_RECEIVER: 'x',
    DELTAWIRE_SERVICE_HOST: '10.0.0.1',
    DELTAWIRE_LOG_LEVEL_PORT: 'tcp://10.0.0.1:80',
    DELTAWIRE_STATE_PORT_80_TCP_ADDR: '10.0.0.1',
  }
  const { code, out, err } = await run(text, env)
  assert.equal(code, ExitCode.done)
  assert.match(out, /^bridge.yaml is valid\n/)
  assert.deepEqual(err.split('\n'), [
    'warning: bridge.yaml:3:27 redaction.key.file: there is no such file here',
    'warning: bridge.yaml:6:5 sources[1]: no route leads from source idle',
    'warning: bridge.yaml:6:38 sources[1].resources[1]: deployments may be of any API group, and the chart and `deltawire rbac` need to know which: write it as `kubectl api-resources -o name` prints it, as in deployments.apps',
    'warning: bridge.yaml:9:5 routes[1]: nothing takes this route: before it, changes lets everything through',
    'warning: bridge.yaml:9:54 routes[1].on: what is dropped when the queue of sink near is full cannot be made up for without snapshot; with queue.whenFull: block or spool nothing is dropped',
    'warning: bridge.yaml:11:99 sinks[0].headers.x-key.file: there is no such file here',
    'warning: bridge.yaml:12:5 sinks[1]: no route leads to sink out',
    'warning: bridge.yaml:13:39 sinks[2].url: localhost is the machine or pod itself, which is denied; to permit it: network: { allow: [127.0.0.1/32, "::1/128"] }',
    'warning: bridge.yaml:14:127 sinks[3].queue.whenFull: when its queue is full, streams stop also for hook, near; coalesce holds up nobody',
    'warning: environment DELTAWIRE_LOGLEVEL: sets nothing; did you mean DELTAWIRE_LOG_LEVEL?',
    '',
  ])
})

test('without routes nothing is useless', async () => {
  const text = `apiVersion: deltawire.io/v1
kind: Bridge
sources: [{ resources: [pods] }]
sinks: [{ name: out, type: stdout }]
`
  assert.equal((await run(text)).err, '')
})
