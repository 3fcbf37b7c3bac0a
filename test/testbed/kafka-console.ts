/** Reads a topic with Kafka's own console consumer, so that no code of ours judges what is in it. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A record as the console consumer shows it; bytes are read as UTF-8, strictly. */
export interface ConsumedRecord {
  readonly partition: number
  readonly offset: number
  /** Milliseconds. */
  readonly timestamp: number
  readonly key: string | null
  readonly headers: Readonly<Record<string, string | null>>
  /** Null: a tombstone. */
  readonly value: string | null
}

export interface Reading {
  readonly bootstrap: string
  readonly topic: string
  /** That are in the topic. */
  readonly count: number
}

/** Between headers. It shows every byte but printable ASCII as `\xE2`: no value holds this one, nor a tab or a newline. */
const HEADERS_SEPARATOR = '\x1f'

/** Ends when no record came for so long. Milliseconds. */
const GIVE_UP_AFTER_MS = 30_000

/** `java`: arguments of the Java VM, class path included. Rejects if fewer records come than are said to be there. */
export async function consumeAll(
  java: readonly string[],
  { bootstrap, topic, count }: Reading,
): Promise<readonly ConsumedRecord[]> {
  if (count === 0) return []
  // it shows null as this text, like a value that is this text
  const nothing = randomUUID()
  const bytes = 'org.apache.kafka.common.serialization.BytesDeserializer'
  const properties = {
    'print.timestamp': 'true',
    'print.partition': 'true',
    'print.offset': 'true',
    'print.headers': 'true',
    'print.key': 'true',
    'key.deserializer': bytes,
    'value.deserializer': bytes,
    'headers.deserializer': bytes,
    'headers.separator': HEADERS_SEPARATOR,
    'null.literal': nothing,
  }
  const args = [
    ...java,
    'org.apache.kafka.tools.consumer.ConsoleConsumer',
    ...['--bootstrap-server', bootstrap, '--topic', topic, '--from-beginning'],
    ...['--max-messages', String(count), '--timeout-ms', String(GIVE_UP_AFTER_MS)],
    ...Object.entries(properties).flatMap(([name, value]) => ['--property', `${name}=${value}`]),
  ]
  const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000)
  })
  const records: ConsumedRecord[] = []
  for await (const line of createInterface({ input: child.stdout })) records.push(parse(line, nothing))
  const [code] = (await ended) as [number | null]
  if (code !== 0) throw new Error(`the console consumer ended with ${code}: ${said}`)
  if (records.length < count) throw new Error(`${records.length} of the ${count} records of ${topic} came: ${said}`)
  return records
}

function parse(line: string, nothing: string): ConsumedRecord {
  const fields = /^CreateTime:(\d+)\tPartition:(\d+)\tOffset:(\d+)\t([^\t]*)\t([^\t]*)\t([^\t]*)$/.exec(line)
  if (!fields) throw new Error(`the console consumer printed what is no record: ${line.slice(0, 200)}`)
  const [, timestamp, partition, offset, headers = '', key = '', value = ''] = fields
  const text = (shown: string) => (shown === nothing ? null : decode(shown))
  const pairs = headers === 'NO_HEADERS' ? [] : headers.split(HEADERS_SEPARATOR)
  const entries = pairs.map((pair) => {
    const end = pair.indexOf(':')
    return [pair.slice(0, end), text(pair.slice(end + 1))] as const
  })
  const byName = Object.fromEntries(entries)
  if (Object.keys(byName).length < entries.length) throw new Error(`a record repeats a header: ${headers}`)
  return {
    partition: Number(partition),
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: text(key),
    headers: byName,
    value: text(value),
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** `\xC3\xBC` -> `ü`. A backslash is itself escaped. */
function decode(shown: string): string {
  if (!shown.includes('\\')) return shown
  const raw = shown.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return utf8.decode(Buffer.from(raw, 'latin1'))
}
