import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.ts'
import { startKafka } from '../../testbed/kafka.ts'
import { startBridge } from './bridge-process.ts'
import { judgeTopic, type TopicJudgement } from './kafka-topic.ts'
import { operate, prefixes, resources } from './random-operations.ts'
import { startCluster } from './stand.ts'

export interface BrokerKillsOptions {
  readonly seed: number
  /** Operations in all. */
  readonly operations: number
  /** SIGKILLs of the broker, spread over them. */
  readonly kills: number
}

export interface BrokerKillsResult {
  readonly kills: number
  /** Events in attempts, by sink and result: `{sink="binary",result="delivered"}`. */
  readonly attempts: Readonly<Record<string, number>>
  readonly topics: Readonly<Record<string, TopicJudgement>>
}

const namespaces = ['shop', 'pay']
const topics = {
  binary: { partitions: 6, compression: 'zstd' },
  structured: { partitions: 3, compression: 'gzip' },
} as const

/**
 * Random operations while the broker is killed and started again. In the end each version that etcd recorded is in both
 * topics as an event of its own, in order per key; what is there twice has one id.
 */
export async function surviveBrokerKills({ seed, operations, kills }: BrokerKillsOptions): Promise<BrokerKillsResult> {
  await using server = await startCluster(namespaces)
  await using kafka = await startKafka()
  for (const [topic, { partitions }] of Object.entries(topics)) await kafka.createTopic(topic, { partitions })
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: Object.entries(topics).map(([mode, { compression }]) => ({
        ...{ name: mode, type: 'kafka', brokers: [kafka.bootstrap], topic: mode, mode, compression },
        retry: { initial: '50ms', max: '2s' },
        queue: { whenFull: 'block' }, // every version is to arrive, also those of an outage
      })),
    },
  })
  await bridge.ready()
  const recorder = await server.record()

  const part = Math.floor(operations / (kills + 1))
  for (let kill = 0; kill < kills; kill++) {
    const appended = await kafka.appended('binary')
    const writing = operate(server.admin, { count: part, seed: seed + kill, namespaces })
    await eventually(async () => (await kafka.appended('binary')) > appended + part / 2, {
      what: 'half of it is in the topic',
      withinMs: 60_000,
    })
    await kafka.kill()
    await kafka.start()
    await writing
  }
  const rest = operations - part * kills
  await operate(server.admin, { count: rest, seed: seed + kills, namespaces })

  const history = await recorder.until(await server.revision(), ...prefixes)
  const settled = async (sink: string) =>
    (await kafka.appended(sink)) >= history.length &&
    (await bridge.metric(`deltawire_sink_queue_events{sink="${sink}"}`)) === 0
  for (const sink of Object.keys(topics)) {
    await eventually(() => settled(sink), { what: `all is in topic ${sink}`, withinMs: 90_000 }).catch(
      () => undefined, // the comparison below says what is missing
    )
  }
  const { body } = await bridge.get('/metrics')
  assert.equal(await bridge.end('SIGTERM'), 0)

  const judged: Record<string, TopicJudgement> = {}
  for (const [topic, { partitions }] of Object.entries(topics)) {
    const judgement = judgeTopic(history, await kafka.consoleConsumer(topic), partitions)
    assert.deepEqual(judgement.problems, [], topic)
    assert.deepEqual([judgement.delivered, judgement.gaps], [history.length, 0], topic)
    judged[topic] = judgement
  }
  return { kills, attempts: attempts(body), topics: judged }
}

function attempts(metrics: string): Readonly<Record<string, number>> {
  const lines = metrics.matchAll(/^deltawire_sink_sent_total(\{.*\}) (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, labels = '', count]) => [labels, Number(count)]))
}
