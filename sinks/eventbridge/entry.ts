/** A CloudEvent as an entry of PutEvents, and its size as AWS counts it. Pure functions. */
import type { PutEventsRequestEntry } from '@aws-sdk/client-eventbridge'
import { type CloudEventAttributes, type OutboundEvent, structured, structuredSize } from '../../src/delivery/sink.ts'

export interface EntryOptions {
  /** Name or ARN. */
  readonly bus: string
  /** `ce`: the source of the CloudEvent; else a fixed name. */
  readonly source: string
}

/** What AWS counts for a Time. */
const TIME_BYTES = 14

/**
 * `Detail` is the whole CloudEvent in the JSON format, and so always an object: with the exact `time`, of which the bus
 * keeps whole seconds, and with the `id`, for which the bus has one of its own.
 */
export function toEntry({ attributes, data }: OutboundEvent, { bus, source }: EntryOptions): PutEventsRequestEntry {
  const resource = resourceOf(attributes)
  const trace = traceHeader(attributes.traceparent)
  return {
    EventBusName: bus,
    Source: sourceOf(attributes, source),
    DetailType: attributes.type,
    Detail: structured(attributes, data),
    Time: new Date(attributes.time),
    ...(resource !== undefined && { Resources: [resource] }),
    ...(trace !== undefined && { TraceHeader: trace }),
  }
}

/**
 * UTF-8 bytes of Source, DetailType, Detail (as it is before it is escaped into the request) and each of Resources, and
 * 14 for the Time; not of EventBusName and TraceHeader.
 * Source: EventBridge User Guide, "Calculating event entry size".
 */
export function entrySize({ attributes, data, dataBytes }: OutboundEvent, source: string): number {
  return (
    TIME_BYTES +
    Buffer.byteLength(sourceOf(attributes, source)) +
    Buffer.byteLength(attributes.type) +
    structuredSize(attributes, data === undefined ? undefined : dataBytes) +
    Buffer.byteLength(resourceOf(attributes) ?? '')
  )
}

function sourceOf(attributes: CloudEventAttributes, source: string): string {
  return source === 'ce' ? attributes.source : source
}

/**
 * The object: `kubernetes://prod-eu/apis/apps/v1/deployments/shop/web`, so that a pattern takes a namespace by its prefix.
 * Undefined for what is about no object. What a URI cannot hold is percent-encoded (RFC 3986), slashes are not.
 */
function resourceOf({ source, subject }: CloudEventAttributes): string | undefined {
  return subject === undefined
    ? undefined
    : `${source}/${subject.toWellFormed().replace(NOT_IN_PATH, encodeURIComponent)}`
}

const NOT_IN_PATH = /[^\w.~!$&'()*+,;=:@/-]+/g

/** `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=0|1`. Source: W3C Trace Context; X-Ray, "Tracing header". */
function traceHeader(traceparent: string | boolean | undefined): string | undefined {
  const [, root, trace, parent, flags = ''] = TRACEPARENT.exec(String(traceparent)) ?? []
  if (root === undefined) return undefined
  return `Root=1-${root}-${trace};Parent=${parent};Sampled=${Number.parseInt(flags, 16) & 1}`
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-([0-9a-f]{16})-([0-9a-f]{2})/
