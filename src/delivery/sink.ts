/**
 * THE CONTRACT between the delivery engine and a sink. Of the project a sink imports this file and src/lib, nothing else;
 * one of somebody else's imports it as `deltawire/sink`, see docs/write-a-sink.md.
 * One worker per sink batches, orders, retries and dead-letters; a sink makes one attempt and says what happened.
 */
import type { Logger } from 'pino'
import type { OutboundEvent } from '../events/outbound.ts'
import type { Clock } from '../lib/clock.ts'
import type { Infer, JsonSchema } from '../lib/json-schema.ts'
import type { DeliveryError } from './errors.ts'
import type { SecretReference } from './secret-reference.ts'

export {
  type CloudEventAttributes,
  httpBinary,
  type KafkaRecord,
  kafkaBinary,
  kafkaBinarySize,
  kafkaStructured,
  kafkaStructuredSize,
  structured,
  structuredContentType,
  structuredSize,
} from '../events/encode.ts'
export type { OutboundEvent } from '../events/outbound.ts'
export { abortable } from '../lib/abort.ts'
export type { Clock } from '../lib/clock.ts'
export { InFlight } from '../lib/in-flight.ts'
export type { Infer, JsonSchema } from '../lib/json-schema.ts'
export { DeliveryError, type DeliveryErrorCode, deliveryErrors } from './errors.ts'
export { environmentReference, fileReference, type SecretReference, secretReference } from './secret-reference.ts'

/** Why the event at `index` of a batch was not delivered. */
export interface Failure {
  readonly index: number
  readonly error: DeliveryError
}

export interface DeliverContext {
  /** Aborts when the attempt timed out or the bridge ends: settle soon, send nothing afterwards. */
  readonly signal: AbortSignal
}

export interface Sink extends AsyncDisposable {
  /** Proves that the target can be reached. Called by the worker, with back-off, until it resolves; never concurrently. */
  connect(signal: AbortSignal): Promise<void>
  /**
   * One attempt. Called concurrently, up to the sink's `concurrency`, never with two events of one key at the same time
   * unless `limits.sameKeyInBatch`. Resolves with the events that failed: `[]` means that all are durably accepted.
   * A throw means that the whole batch failed: a DeliveryError decides by its code, anything else counts as `failed`.
   */
  deliver(batch: readonly OutboundEvent[], context: DeliverContext): Promise<readonly Failure[]>
}

export interface SinkLimits {
  /** An event whose `sizeOf` is above goes out smaller, or to the dead letters. Bytes. */
  readonly maxEventBytes: number
  readonly maxBatchEvents: number
  readonly maxBatchBytes: number
  /** Bytes of the event as this sink encodes it. */
  sizeOf(event: OutboundEvent): number
  /** True only if events with one key succeed or fail together. */
  readonly sameKeyInBatch: boolean
  /** Batches in flight unless configured otherwise. */
  readonly concurrency: number
  /**
   * The target keeps the last event of each key, as a compacted topic does: an older one that comes late would replace a
   * newer one. @default false
   */
  readonly keepsLast?: boolean
}

/** What a sink is given besides its configuration. */
export interface SinkContext {
  /** The sink's name in the configuration. */
  readonly name: string
  readonly clock: Clock
  readonly logger: Logger
  /** The process's standard output. Only a sink that is about it may touch it. */
  readonly stdout: NodeJS.WritableStream
  /** Resolves a credential reference to its present value; a file is read again at each call. Rejects naming the reference. */
  secret(reference: SecretReference): Promise<string>
}

/** A sink type: a value in a folder of its own, imported when a configuration names it. */
export interface SinkDefinition<S extends JsonSchema> {
  readonly type: string
  /** JSON Schema of the sink's own keys, with description, default and unit for each. */
  readonly schema: S
  /** May depend on the configuration. */
  limits(config: Infer<S>): SinkLimits
  /** Does no I/O. Throws an Error with a clear message for a configuration that the schema cannot refuse. */
  create(config: Infer<S>, context: SinkContext): Sink
  /** What is permitted and will most likely not work. As in an error of `create`, a text may begin with its key. */
  warnings?(config: Infer<S>): readonly string[]
}

/** Types the definition of a sink from its schema; returns it as it is. */
export function defineSink<const S extends JsonSchema>(definition: SinkDefinition<S>): SinkDefinition<S> {
  return definition
}
