import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { fileOf } from './component.ts'
import { kafka as component, startKafka, type TestKafka } from './kafka.ts'

let kafka: TestKafka

before(async () => {
  kafka = await startKafka()
})

after(async () => {
  await kafka?.[Symbol.asyncDispose]()
})

/** Kafka's own console producer, one record a line: `headers | key | value`. `NULL` is null. */
async function produce(topic: string, ...lines: readonly string[]): Promise<void> {
  const properties = {
    'parse.headers': 'true',
    'parse.key': 'true',
    'headers.delimiter': '|',
    'headers.separator': ';',
    'headers.key.separator': '=',
    'key.separator': '|',
    'null.marker': 'NULL',
  }
  const args = [
    ...['-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp'],
    join(fileOf(component), '*'),
    'org.apache.kafka.tools.ConsoleProducer',
    ...['--bootstrap-server', kafka.bootstrap, '--topic', topic, '--request-required-acks', 'all'],
    ...Object.entries(properties).flatMap(([name, value]) => ['--property', `${name}=${value}`]),
  ]
  const child = spawn('java', args, { stdio: ['pipe', 'ignore', 'pipe'] })
  child.stdin.end(lines.map((line) => `${line}\n`).join(''))
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close') as Promise<[number]>])
  assert.equal(code, 0, said)
}

test('the console consumer shows keys, headers and values as they are, nulls and odd characters too', async () => {
  await kafka.createTopic('odd')
  await produce(
    'odd',
    'ce_id=a:1;ce_subject=naïve 😀, "x"\t;empty=|shop/web|{"a":"\\n\\\\x41\tü"}',
    'NULL|NULL|NULL',
    'h=NULL||\\N',
  )
  const records = await kafka.consoleConsumer('odd')
  assert.deepEqual(
    records.map(({ timestamp, ...record }) => record),
    [
      {
        partition: 0,
        offset: 0,
        key: 'shop/web',
        headers: { ce_id: 'a:1', ce_subject: 'naïve 😀, "x"\t', empty: '' },
        value: '{"a":"\\n\\\\x41\tü"}',
      },
      { partition: 0, offset: 1, key: null, headers: {}, value: null },
      { partition: 0, offset: 2, key: '', headers: { h: null }, value: '\\N' },
    ],
  )
  assert.ok(records.every(({ timestamp }) => timestamp > Date.parse('2020-01-01')))
})

test('what Kafka acknowledged before it was killed is there when it is back at the same place', async () => {
  await kafka.createTopic('kept', { partitions: 3 })
  await produce('kept', ...Array.from({ length: 30 }, (_, index) => `n=${index}|key-${index}|before`))
  const { pid, bootstrap } = kafka
  await kafka.kill()
  assert.throws(() => kafka.pid, /does not run/)
  await kafka.start()
  assert.notEqual(kafka.pid, pid)
  assert.equal(kafka.bootstrap, bootstrap)
  await produce('kept', 'n=30|key-0|after')
  const records = await kafka.consoleConsumer('kept')
  assert.deepEqual(
    records.map(({ headers }) => Number(headers.n)).sort((a, b) => a - b),
    [...Array(31).keys()],
  )
  assert.deepEqual(new Set(records.map(({ partition }) => partition)), new Set([0, 1, 2]))
  assert.deepEqual(
    records.filter(({ key }) => key === 'key-0').map(({ value }) => value),
    ['before', 'after'],
  )
})

test('an empty topic is read as empty; one that is there is not created again; settings are those of the broker', async () => {
  await kafka.createTopic('small', { config: { 'max.message.bytes': '1000' } })
  assert.deepEqual(await kafka.consoleConsumer('small'), [])
  await assert.rejects(kafka.createTopic('small'), /topic small was not created: TOPIC_ALREADY_EXISTS/)
  await assert.rejects(
    kafka.createTopic('odder', { config: { 'no.such.setting': '1' } }),
    /was not created: INVALID_CONFIG/,
  )
})

test('a broker that is stopped starts again on its ports; one whose port is taken says why it cannot', async () => {
  await kafka.stop()
  const squatter = createServer((socket) => socket.destroy())
  squatter.listen(Number(kafka.bootstrap.split(':')[1]), '127.0.0.1')
  await once(squatter, 'listening')
  await assert.rejects(kafka.start(), /the program has ended.*Address already in use/s)
  await once(squatter.close(), 'close')
  await kafka.start()
  const isServed = async () => (await kafka.appended('small')) === 0
  await eventually(isServed, { what: 'its topics are served again' })
})
