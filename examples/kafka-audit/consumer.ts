/**
 * Prints the audit topic, a line for each event, and goes on where it stopped when it is started again.
 *
 *   node examples/kafka-audit/consumer.ts --brokers kafka:9092 --topic k8s.audit --group audit-log
 *
 * The topic is its database: at start it reads its partitions from their beginning, to know every object again, and
 * prints from the offset that its group committed. An offset is committed when its lines are written: after a crash a few
 * may be printed again, none is left out.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { parseArgs, promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { decodeKafka } from 'deltawire/events'
import kafkajs, { type EachBatchPayload, type KafkaConfig, type KafkaMessage } from 'kafkajs'
import { Audit } from './audit.ts'

// kafkajs brings gzip only, and Deltawire compresses with zstd
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { readonly buffer: Buffer }) => await promisify(zstdCompress)(buffer),
  decompress: async (buffer: Buffer) => await promisify(zstdDecompress)(buffer),
})

const { values: options } = parseArgs({
  options: {
    brokers: { type: 'string', default: 'localhost:9092' },
    topic: { type: 'string', default: 'k8s.audit' },
    group: { type: 'string', default: 'audit-log' },
    'tls-ca': { type: 'string' },
    'sasl-username': { type: 'string' },
    'sasl-password-file': { type: 'string' },
  },
})

const kafka = new kafkajs.Kafka({
  clientId: 'audit',
  brokers: options.brokers.split(','),
  logLevel: kafkajs.logLevel.ERROR,
  ...security(),
})
const { topic, group: groupId } = options
const admin = kafka.admin()
// after a crash the group waits so long for who is gone
const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000 })

interface Partition {
  readonly audit: Audit
  /** Lines of offsets below it were printed by an earlier run. */
  readonly committed: bigint
}

/** Of this assignment: another member may have read them until now. */
const partitions = new Map<number, Partition>()
consumer.on(consumer.events.GROUP_JOIN, () => partitions.clear())
// what kafkajs cannot mend ends this program: whoever runs it starts it again
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (payload.restart) return
  process.stderr.write(`${payload.error.message}\n`)
  process.exit(1)
})

const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
await admin.connect()
await tellExpired()
await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: read })
await stopped
await consumer.disconnect()
await admin.disconnect()

/** Whatever fails here, the partition is begun again: its audit must not be further on than what is printed. */
async function read(payload: EachBatchPayload): Promise<void> {
  try {
    await readBatch(payload)
  } catch (error) {
    partitions.delete(payload.batch.partition)
    throw error
  }
}

async function readBatch({ batch, resolveOffset, heartbeat, isStale, isRunning }: EachBatchPayload): Promise<void> {
  const partition = partitions.get(batch.partition) ?? (await open(batch.partition))
  if (isStale()) return // it is read from the beginning first
  let printed = ''
  let next: string | undefined
  for (const message of batch.messages) {
    if (!isRunning()) break
    const lines = linesOf(partition.audit, batch.partition, message)
    resolveOffset(message.offset)
    if (BigInt(message.offset) < partition.committed) continue
    printed += lines.map((line) => `${line}\n`).join('')
    next = `${BigInt(message.offset) + 1n}`
  }
  await print(printed)
  if (next !== undefined) await consumer.commitOffsets([{ topic, partition: batch.partition, offset: next }])
  await heartbeat()
}

/** A message that is none of Deltawire's is told too: nothing in the topic goes unsaid. */
function linesOf(audit: Audit, partition: number, message: KafkaMessage): readonly string[] {
  try {
    return audit.apply(decodeKafka(message))
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return [`unreadable: partition ${partition}, offset ${message.offset}: ${error.message}`]
  }
}

/** Records that Kafka removed before they were read: the one loss that would not show otherwise. */
async function tellExpired(): Promise<void> {
  const [ofGroup] = await admin.fetchOffsets({ groupId, topics: [topic] })
  for (const { partition, low } of await admin.fetchTopicOffsets(topic)) {
    const committed = BigInt(ofGroup?.partitions.find((one) => one.partition === partition)?.offset ?? '-1')
    if (committed < 0n || committed >= BigInt(low)) continue
    await print(`expired: partition ${partition}: the records from ${committed} to before ${low} were never read\n`)
  }
}

/** Begins a partition again: reading goes back to its first offset, printing goes on at the committed one. */
async function open(partition: number): Promise<Partition> {
  const [ofGroup] = await admin.fetchOffsets({ groupId, topics: [topic] })
  const committed = ofGroup?.partitions.find((one) => one.partition === partition)?.offset ?? '-1' // none yet
  const first = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === partition)?.low ?? '0'
  const opened = { audit: new Audit(), committed: BigInt(committed) }
  partitions.set(partition, opened)
  if (opened.committed > BigInt(first)) consumer.seek({ topic, partition, offset: first })
  return opened
}

/** Resolves when it is written: only then may offsets be committed. */
async function print(text: string): Promise<void> {
  if (text === '') return
  await new Promise<void>((resolve, reject) =>
    process.stdout.write(text, (error) => (error ? reject(error) : resolve())),
  )
}

function security(): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const { 'tls-ca': ca, 'sasl-username': username, 'sasl-password-file': file } = options
  return {
    ...(ca !== undefined && { ssl: { ca: readFileSync(ca, 'utf8') } }),
    ...(username !== undefined &&
      file !== undefined && {
        sasl: { mechanism: 'scram-sha-512', username, password: readFileSync(file, 'utf8').trim() },
      }),
  }
}
