/** How the sink is encrypted and logs in, on a real Apache Kafka; kafka.test.ts has the plain cases of each. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { pino } from 'pino'
import { DeliveryError, type SecretReference } from '../../src/delivery/sink.ts'
import {
  type KafkaListener,
  kafkaCertificates,
  kafkaUsers,
  startKafka,
  type TestKafka,
} from '../../test/testbed/kafka.ts'
import { event, makeSink, never } from '../contract-kit.ts'
import { sink } from './index.ts'

let kafka: TestKafka
before(async () => {
  kafka = await startKafka()
  await kafka.createTopic('secured')
})
after(() => kafka?.[Symbol.asyncDispose]())

const { server, client } = kafkaCertificates
/** What is behind the references of a configuration. */
const secrets: Readonly<Record<string, string>> = {
  ca: server.cert,
  cert: client.cert,
  key: client.key,
  otherCert: server.cert,
  otherKey: server.key,
  password: kafkaUsers.admin,
}
const secret = (reference: SecretReference) =>
  Promise.resolve(secrets['env' in reference ? reference.env : reference.file] ?? 'no such secret')

const tls = { ca: { file: 'ca' } }
const sasl = { mechanism: 'scram-sha-512', username: 'admin', password: { env: 'password' } }

interface Attempt {
  readonly error: DeliveryError | undefined
  /** All that was said: the error, and every line of the log. */
  readonly said: string
}

/** One sink that connects and delivers one event. */
async function attempt(address: string, settings: object, id: string): Promise<Attempt> {
  const lines: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const config = { brokers: [address], topic: 'secured', ...settings }
  const { sink: made } = makeSink(sink, { config, stdout: process.stdout }, { secret, logger })
  await using _ = made
  try {
    await made.connect(never())
    assert.deepEqual(await made.deliver([event({ id })], { signal: never() }), [])
    return { error: undefined, said: lines.join('') }
  } catch (error) {
    assert.ok(error instanceof DeliveryError, inspect(error))
    return { error, said: lines.join('') + inspect(error, { depth: 12, showHidden: true }) }
  }
}

test('it delivers over TLS, by name and by address, and logs in over TLS by each mechanism', async () => {
  const ways: readonly (readonly [address: string, settings: object])[] = [
    [kafka.address('tls'), { tls }],
    [kafka.address('tls').replace('127.0.0.1', 'localhost'), { tls }],
    [kafka.address('sasl-tls'), { tls, sasl }],
    [kafka.address('sasl-tls'), { tls, sasl: { ...sasl, mechanism: 'scram-sha-256' } }],
    [kafka.address('sasl-tls'), { tls, sasl: { ...sasl, mechanism: 'plain' } }],
  ]
  for (const [index, [address, settings]] of ways.entries()) {
    const { error } = await attempt(address, settings, `${index}`)
    assert.equal(error, undefined, `${address}: ${JSON.stringify(settings)}`)
  }
  const records = await kafka.consoleConsumer('secured')
  assert.deepEqual(
    records.map(({ headers }) => headers.ce_id),
    ways.map((_, index) => `${index}`),
  )
})

test('P8 what does not fit is refused at once, as the whole sink, with a reason and without a secret', async () => {
  const wrong: readonly (readonly [name: string, listener: KafkaListener, settings: object, code: string])[] = [
    ['a certificate that nobody trusts', 'tls', { tls: {} }, 'unavailable'],
    ['no client certificate where one is required', 'mtls', { tls }, 'unavailable'],
    [
      'a client certificate that Kafka does not trust',
      'mtls',
      { tls: { ...tls, cert: { file: 'otherCert' }, key: { file: 'otherKey' } } },
      'unavailable',
    ],
    ['no TLS where it is spoken', 'tls', {}, 'unavailable'],
    ['TLS where it is not spoken', 'plaintext', { tls }, 'unavailable'],
    ['no login where one is required', 'sasl', {}, 'unavailable'],
    ['a login where none is known', 'plaintext', { sasl }, 'unauthorized'],
    ['a user that is not known', 'sasl-tls', { tls, sasl: { ...sasl, username: 'nobody' } }, 'unauthorized'],
    ['a password that is wrong', 'sasl-tls', { tls, sasl: { ...sasl, password: { env: 'key' } } }, 'unauthorized'],
  ]
  // of a key one line: in a log its line breaks are written otherwise
  const hidden = [kafkaUsers.admin, ...[client.key, server.key].map((key) => key.split('\n')[1] ?? '')]
  for (const [name, listener, settings, code] of wrong) {
    const { error, said } = await attempt(kafka.address(listener), settings, name)
    for (const value of hidden) assert.ok(!said.includes(value), `${name}: a secret is in what was said`)
    assert.equal(error?.code, code, name)
  }
})
