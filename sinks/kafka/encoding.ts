/** An event as a record. */
import {
  type KafkaRecord,
  kafkaBinary,
  kafkaBinarySize,
  kafkaStructured,
  kafkaStructuredSize,
  type OutboundEvent,
} from '../../src/delivery/sink.ts'

export interface EncodingOptions {
  readonly mode: 'binary' | 'structured'
  readonly compacted: boolean
}

/** What the object is, in Kafka too: records with one key are in one partition, in order. */
export function keyOf({ attributes, key }: OutboundEvent): string {
  return typeof attributes.partitionkey === 'string' ? attributes.partitionkey : key
}

/** What it says of the object is that it is gone. */
export function isDeletion({ attributes }: OutboundEvent): boolean {
  return attributes.type === 'io.deltawire.object.deleted.v1'
}

/** On a compacted topic a deletion has no data: a null value is what makes Kafka forget the key. */
export function encode(event: OutboundEvent, { mode, compacted }: EncodingOptions): KafkaRecord {
  const { attributes, data } = event
  if (mode === 'structured') return kafkaStructured(attributes, data)
  return kafkaBinary(attributes, compacted && isDeletion(event) ? undefined : data)
}

export function sizeOf(event: OutboundEvent, { mode, compacted }: EncodingOptions): number {
  const { attributes, data, dataBytes } = event
  const bytes = data === undefined ? undefined : dataBytes
  if (mode === 'structured') return kafkaStructuredSize(attributes, keyOf(event), bytes)
  return kafkaBinarySize(attributes, keyOf(event), compacted && isDeletion(event) ? undefined : bytes)
}
