/** What happens to topics, brokers and their leaders while the bridge delivers to a real Apache Kafka. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeTopic } from '../e2e/support/kafka-topic.ts'
import { eventually } from '../support/eventually.ts'
import { startKafka } from '../testbed/kafka.ts'
import { startKafkaCluster } from '../testbed/kafka-cluster.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

const PARTITIONS = 3
const queue = { whenFull: 'block' } // every version is to arrive

test('F48 a topic that is deleted is named with the way out; created again, it gets every version since', async (t) => {
  await using kafka = await startKafka()
  await kafka.createTopic('audit', { partitions: PARTITIONS })
  const sink = { name: 'log', type: 'kafka', brokers: [kafka.bootstrap], topic: 'audit', retry, queue }
  await using stand = await FaultStand.start([sink], { seed: newSeed(t) })
  await stand.write(100)
  await eventually(async () => (await stand.metric('sink_queue_events', 'log')) === 0, { what: 'all is delivered' })
  const before = await stand.history()

  await kafka.deleteTopic('audit')
  await stand.write(200)
  await stand.untilTold('log', 'unavailable')
  assert.match(
    await stand.readiness('log'),
    /^\[!\] sink log: connected, degraded: .*topic audit.*: create it, or set createTopics/,
  )
  assert.ok((await stand.metric('sink_circuit_state', 'log')) > 0)
  await kafka.createTopic('audit', { partitions: PARTITIONS })
  await stand.write(100)

  const since = (await stand.history()).slice(before.length)
  await eventually(async () => (await stand.metric('sink_queue_events', 'log')) === 0, { what: 'all is delivered' })
  const { problems, ...judged } = judgeTopic(since, await kafka.consoleConsumer('audit'), PARTITIONS)
  t.diagnostic(JSON.stringify(judged))
  assert.deepEqual(
    problems.filter((problem) => problem !== 'no marker arrived'), // they were in the topic that was deleted
    [],
  )
  assert.deepEqual([judged.delivered, judged.duplicates], [since.length, 0])
  assert.deepEqual(await stand.told('log'), ['healthy', 'unavailable', 'healthy'])
  await stand.endsInOrder('log')
})

test('F49 leaders that move, by the death of a broker and by election, lose nothing and mix up no object', async (t) => {
  await using kafka = await startKafkaCluster()
  await kafka.createTopic('audit', PARTITIONS)
  const sink = { name: 'log', type: 'kafka', brokers: kafka.addresses, topic: 'audit', retry, queue }
  await using stand = await FaultStand.start([sink], { seed: newSeed(t) })
  const first = await kafka.leaders('audit')
  const [victim = 1] = first

  const writing = stand.write(800)
  await eventually(async () => (await kafka.appended('audit')) > 200, { what: 'some of it is in the topic' })
  await kafka.killNode(victim)
  const others = await eventually(
    async () => {
      const now = await kafka.leaders('audit')
      return !now.includes(victim) && now
    },
    { what: 'others lead' },
  )
  await writing
  await stand.write(200)
  await kafka.startNode(victim)
  const moving = stand.write(800)
  await eventually(
    async () => {
      await kafka.electPreferredLeaders()
      return (await kafka.leaders('audit')).join() === first.join()
    },
    { what: 'the first ones lead again', withinMs: 60_000 },
  )
  await moving
  await stand.write(100)

  const history = await stand.history()
  await eventually(async () => (await stand.metric('sink_queue_events', 'log')) === 0, {
    what: 'all is delivered',
    withinMs: 60_000,
  })
  const { problems, ...judged } = judgeTopic(history, await kafka.consoleConsumer('audit'), PARTITIONS)
  const told = await stand.told('log')
  t.diagnostic(JSON.stringify({ first, others, ...judged, told }))
  assert.deepEqual(problems, [])
  assert.deepEqual([judged.delivered, judged.gaps], [history.length, 0])
  assert.ok(told.length <= 5 && told.at(-1) === 'healthy', 'one line when leaders move, one when they are found')
  await stand.endsInOrder('log')
})
