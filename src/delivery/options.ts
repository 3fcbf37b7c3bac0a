/** What every sink can be configured with, whatever its type, and the numbers that the worker makes of it. */
import type { Infer } from '../lib/json-schema.ts'
import { parseBytes, parseDuration } from '../lib/units.ts'
import type { RetryOptions } from './retry.ts'
import type { SinkLimits } from './sink.ts'
import type { SpoolOptions } from './spool-log.ts'

/** The keys that all sinks share; a sink's own schema adds the others. */
export const sinkOptionsSchema = {
  type: 'object',
  required: ['name', 'type'],
  properties: {
    name: { type: 'string', minLength: 1, description: 'Unique name; routes, logs and metrics use it.' },
    type: {
      type: 'string',
      minLength: 1,
      description:
        'Type of the sink, for example webhook or stdout; or a module of your own, as in `./my-sink.js` or ' +
        '`@scope/package`, see write-a-sink.md.',
    },
    required: {
      type: 'boolean',
      default: true,
      description:
        'Whether the bridge is ready only once this sink has been reached, and has not refused everything since; and, with ' +
        '`state: { type: file }`, whether a restart goes on where this sink was. What another one missed is made up for by a ' +
        '`gap`, the deletions and a full snapshot.',
    },
    order: {
      enum: ['key', 'none'],
      default: 'key',
      description: 'key: the events of one object leave one after the other. none: as fast as it goes.',
    },
    concurrency: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000,
      description: 'Batches in flight at the same time. Default: by type.',
    },
    timeout: {
      type: 'string',
      format: 'duration',
      default: '15s',
      description:
        'Time limit of one attempt. The end of a snapshot waits as long for those before it while none of them is settled, retries included; then objects of the snapshot that keep failing go to the dead letters, or it is aborted if it waits for anything else.',
    },
    batch: {
      type: 'object',
      default: {},
      additionalProperties: false,
      description: 'When a batch closes: whichever limit is reached first.',
      properties: {
        events: { type: 'integer', minimum: 1, description: 'Events in a batch. Default and maximum: by type.' },
        bytes: {
          type: 'string',
          format: 'bytes',
          description: 'Encoded size of a batch. Default and maximum: by type.',
        },
        linger: {
          type: 'string',
          format: 'duration',
          default: '5ms',
          description: 'How long an event waits for others to share its batch. 0: not at all.',
        },
      },
    },
    queue: {
      type: 'object',
      default: {},
      additionalProperties: false,
      description: 'Limits of what waits for this sink or is on its way to it.',
      properties: {
        events: { type: 'integer', minimum: 1, default: 10_000, description: 'Events in the queue.' },
        bytes: { type: 'string', format: 'bytes', default: '64MiB', description: 'Encoded size of the queue.' },
        whenFull: {
          enum: ['coalesce', 'block', 'spool'],
          default: 'coalesce',
          description:
            'coalesce: from half of a limit on, or while the sink is unavailable, only the newest state of each object is kept, and its events say `collapsed`; at a limit the queue of the stream that holds most of it is dropped and made up for by a `gap` and a full snapshot for this sink alone. block: the streams that lead here stop reading, for all their sinks, until there is room; every version arrives. spool: every event is written to a disk first (`queue.spool`), so that nobody waits until that is full, and what was not delivered outlives the process; every version arrives.',
        },
        spool: {
          type: 'object',
          required: ['path'],
          additionalProperties: false,
          description: 'Where events wait on disk. Only and always with `whenFull: spool`.',
          properties: {
            path: {
              type: 'string',
              minLength: 1,
              description: 'Folder of this sink alone, used by one process at a time.',
            },
            bytes: {
              type: 'string',
              format: 'bytes',
              default: '1GiB',
              description: 'Size of that folder. When it is reached, the streams that lead here wait, as with block.',
            },
            fsync: {
              enum: ['always', 'interval', 'none'],
              default: 'always',
              description:
                'What an accepted event outlives. always: the loss of power. interval: the end of the process; a loss of power takes at most the last second. none: the end of the process only.',
            },
          },
        },
      },
    },
    retry: {
      type: 'object',
      default: {},
      additionalProperties: false,
      description: 'Retries of one event: a random delay up to initial, doubled at each failure, up to max.',
      properties: {
        initial: {
          type: 'string',
          format: 'duration',
          default: '500ms',
          description: 'Upper limit of the first delay.',
        },
        max: {
          type: 'string',
          format: 'duration',
          default: '5m',
          description:
            'Upper limit of every delay. A sink that is out of order as a whole is tried again after 30 s at the latest.',
        },
        giveUpAfter: {
          type: 'string',
          format: 'duration',
          default: '1h',
          description:
            'Time after which an event that fails goes to the dead letters. An outage of the whole sink does not count: it is one also when events of ten different objects fail in a row, or when nothing else is delivered meanwhile.',
        },
      },
    },
    deadLetter: {
      type: 'string',
      minLength: 1,
      description:
        'Name of another sink that gets what this one is not given. Default: the store that `deltawire dlq` shows, see ' +
        '`deadLetters`.',
    },
    maxEventBytes: {
      type: 'string',
      format: 'bytes',
      description: 'A larger event goes out with a smaller payload, or to the dead letters. Default: by type.',
    },
  },
} as const

/** A sink's common keys, after defaults were filled in. */
export type SinkOptions = Infer<typeof sinkOptionsSchema>

/** What a full queue does. */
export type WhenFull = 'coalesce' | 'block' | 'spool'

export interface QueueOptions {
  readonly events: number
  readonly bytes: number
  readonly whenFull: WhenFull
  /** Of `spool`, and of nothing else. */
  readonly spool?: SpoolOptions
}

/** What a worker runs by: milliseconds and bytes. */
export interface WorkerOptions {
  readonly name: string
  readonly order: 'key' | 'none'
  readonly concurrency: number
  readonly timeoutMs: number
  readonly batch: { readonly events: number; readonly bytes: number; readonly lingerMs: number }
  readonly queue: QueueOptions
  readonly retry: RetryOptions
  readonly maxEventBytes: number
}

/** The sink's limits bound what is configured. Throws a RangeError for a text that is no duration or size. */
export function workerOptions(options: SinkOptions, limits: SinkLimits): WorkerOptions {
  const { batch, queue, retry } = options
  const bytesOr = (text: string | undefined, limit: number) => (text === undefined ? limit : parseBytes(text))
  return {
    name: options.name,
    order: options.order,
    concurrency: options.concurrency ?? limits.concurrency,
    timeoutMs: parseDuration(options.timeout),
    batch: {
      events: Math.min(batch.events ?? limits.maxBatchEvents, limits.maxBatchEvents),
      bytes: Math.min(bytesOr(batch.bytes, limits.maxBatchBytes), limits.maxBatchBytes),
      lingerMs: parseDuration(batch.linger),
    },
    queue: {
      events: queue.events,
      bytes: parseBytes(queue.bytes),
      whenFull: queue.whenFull,
      ...(queue.spool && { spool: { ...queue.spool, bytes: parseBytes(queue.spool.bytes) } }),
    },
    retry: {
      initialMs: parseDuration(retry.initial),
      maxMs: parseDuration(retry.max),
      giveUpAfterMs: parseDuration(retry.giveUpAfter),
    },
    maxEventBytes: bytesOr(options.maxEventBytes, limits.maxEventBytes),
  }
}
