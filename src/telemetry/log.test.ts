import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog, type LogTarget, StateLog } from './log.ts'
import type { LogOptions } from './options.ts'

function capture(options: LogOptions = { level: 'info', format: 'json' }, isTTY = false) {
  const lines: string[] = []
  const target: LogTarget = { write: (line) => lines.push(line), isTTY }
  return { log: createLog(options, target), lines, records: () => lines.map((line) => withoutTime(JSON.parse(line))) }
}

function withoutTime({ time, ...record }: Record<string, unknown>) {
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  return record
}

test('a line has level, time, fields and a constant message', () => {
  const { log, records } = capture()
  log.child({ stream: 'workloads/pods' }).warn({ code: 'reset', attempts: 3 }, 'the watch has ended')
  assert.deepEqual(records(), [
    { level: 'warn', stream: 'workloads/pods', code: 'reset', attempts: 3, message: 'the watch has ended' },
  ])
})

test('what is below the level is not written', () => {
  const { log, lines } = capture({ level: 'warn', format: 'json' })
  log.info('no')
  log.warn('yes')
  assert.equal(lines.length, 1)
})

test('an error has its name, message, code, stack and causes, and nothing else that hangs on it', () => {
  const { log, records } = capture()
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  const error = Object.assign(new TypeError('no answer', { cause }), { request: { body: 'canary' } })
  log.error({ error }, 'failed')
  const { error: fields } = Object(records()[0])
  const { stack, cause: logged, ...rest } = fields
  assert.deepEqual(rest, { type: 'TypeError', message: 'no answer' })
  assert.match(String(stack), /^TypeError: no answer\n\s+at /)
  assert.deepEqual({ ...logged, stack: '' }, { type: 'Error', message: 'refused', code: 'ECONNREFUSED', stack: '' })
})

test('an error as the only argument gives its message to the line', () => {
  const { log, records } = capture()
  log.error(new Error('boom https://u:canary@h/'))
  const [record] = records()
  assert.equal(record?.message, 'boom https://h/')
  assert.equal(JSON.stringify(record).includes('canary'), false)
})

test('P8 no credential gets into a line, wherever it is', () => {
  const { log, lines } = capture()
  const url = 'https://user:canary@receiver.example.com:8443/hook?token=canary&a=b#x'
  log.child({ url }).info({ url }, `sent to ${url}`)
  log.info(
    { headers: { Authorization: 'canary', 'Proxy-Authorization': 'canary', cookie: 'canary', 'x-api-key': 'canary' } },
    'a',
  )
  log.info({ password: 'canary', deep: [{ clientSecret: { value: 'canary' } }], signature: ['canary'] }, 'b')
  log.info({ text: 'Authorization: Bearer canary.canary-1/2+3==', other: 'basic Y2FuYXJ5Y2FuYXJ5' }, 'c')
  log.error({ error: new Error(`POST ${url}: refused`, { cause: new AggregateError([new Error(url)]) }) }, 'd')
  log.info({ body: Buffer.from('canary') }, 'e')
  assert.equal(lines.length, 6)
  const text = lines.join('')
  assert.equal(/canary|Y2FuYXJ5/.test(text), false, text)
  assert.match(text, /https:\/\/receiver\.example\.com:8443\/hook\?\[redacted\]/)
  for (const line of lines) JSON.parse(line)
})

test('a line is bounded, however large or deep its fields are', () => {
  const { log, lines } = capture()
  const cyclic: Record<string, unknown> = { name: 'x' }
  cyclic.self = cyclic
  log.info({ cyclic, text: 'x'.repeat(1e6), list: Array.from({ length: 1e5 }, () => 'y'), big: 2n ** 70n }, 'large')
  assert.equal(lines.length, 1)
  assert.ok((lines[0]?.length ?? 0) < 20_000)
})

test('for people a line is short, and a stack is shown for errors only', () => {
  const { log, lines } = capture({ level: 'info', format: 'pretty' })
  const error = new Error('no answer')
  error.stack = 'Error: no answer\n    at f (file.ts:1:2)'
  log.info({ stream: 'workloads/pods', count: 3, text: 'two words' }, 'in step')
  log.warn({ error }, 'once more')
  log.error({ error }, 'failed')
  assert.deepEqual(
    lines.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3}/, 'TIME')),
    [
      'TIME INFO  in step  stream=workloads/pods count=3 text="two words"\n',
      'TIME WARN  once more  error="no answer"\n',
      'TIME ERROR failed  error="no answer"\n    at f (file.ts:1:2)\n',
    ],
  )
})

test('without a format a terminal gets colours and everything else gets JSON', () => {
  const terminal = capture({ level: 'info' }, true)
  terminal.log.info('here')
  assert.equal(terminal.lines[0]?.startsWith('\u001b[90m'), true)
  const pipe = capture({ level: 'info' })
  pipe.log.info('here')
  assert.equal(pipe.records()[0]?.message, 'here')
})

test('what comes from outside cannot move the cursor of a terminal', () => {
  const { log, lines } = capture({ level: 'info', format: 'pretty' }, true)
  log.info({ reason: '\u001b[2Jgone\r\u0007' }, 'paused')
  assert.match(lines[0] ?? '', /gone\ufffd\ufffd/)
  assert.equal((lines[0] ?? '').includes('\u001b[2J'), false)
})

test('a state is logged when it changes, not each time it is told', () => {
  const { log, records } = capture()
  let now = 0
  const states = new StateLog(log, () => now)
  const paused = { key: 'sink audit', state: 'paused', level: 'warn', message: 'the sink is out of order' } as const
  const open = { key: 'sink audit', state: 'open', level: 'info', message: 'the sink is in order' } as const
  assert.equal(states.tell(open), true)
  now = 5000
  assert.equal(states.tell({ ...paused, fields: { code: 'unavailable' } }), true)
  for (let count = 0; count < 1000; count++) assert.equal(states.tell(paused), false)
  now = 65_400
  assert.equal(states.tell(open), true)
  states.tell({ ...paused, key: 'sink other' })
  assert.deepEqual(records(), [
    { level: 'info', key: 'sink audit', state: 'open', message: 'the sink is in order' },
    {
      level: 'warn',
      key: 'sink audit',
      state: 'paused',
      before: 'open',
      beforeSeconds: 5,
      code: 'unavailable',
      message: 'the sink is out of order',
    },
    {
      level: 'info',
      key: 'sink audit',
      state: 'open',
      before: 'paused',
      beforeSeconds: 60,
      message: 'the sink is in order',
    },
    { level: 'warn', key: 'sink other', state: 'paused', message: 'the sink is out of order' },
  ])
})

test('P7 what changes all the time has ten lines a minute; the last state is always written in the end', () => {
  const { log, records } = capture()
  let now = 0
  const states = new StateLog(log, () => now)
  const flap = (count: number) => {
    for (let n = 0; n < count; n++) {
      states.tell({ key: 'sink audit', state: 'paused', level: 'warn', message: 'out of order' })
      states.tell({ key: 'sink audit', state: 'open', level: 'info', message: 'in order' })
    }
  }
  for (now = 0; now < 30_000; now += 1000) {
    flap(1000)
    states.flush()
  }
  assert.equal(records().length, 10, '60,000 changes in half a minute')
  assert.equal(states.of('sink audit'), 'open')
  states.tell({ key: 'sink other', state: 'paused', level: 'warn', message: 'out of order' })
  assert.equal(records().at(-1)?.key, 'sink other', 'another key has its own ten')
  now = 59_999
  states.flush()
  assert.equal(records().length, 11)
  now = 60_000
  states.flush()
  const last = { level: 'info', key: 'sink audit', state: 'open', skipped: 59_989, message: 'in order' }
  assert.deepEqual(records().slice(11), [last])
  states.flush()
  assert.equal(records().length, 12)
})

test('a change after too many of them says how many had no line', () => {
  const { log, records } = capture()
  let now = 0
  const states = new StateLog(log, () => now)
  const tell = (state: string) => states.tell({ key: 'k', state, level: 'info', message: 'changed' })
  for (let n = 0; n < 13; n++) tell(`${n}`)
  now = 90_000
  tell('over')
  assert.deepEqual(records().at(-1), {
    level: 'info',
    key: 'k',
    state: 'over',
    before: '12',
    beforeSeconds: 90,
    skipped: 3,
    message: 'changed',
  })
  assert.equal(records().length, 11)
  states.flush()
  assert.equal(records().length, 11)
})
