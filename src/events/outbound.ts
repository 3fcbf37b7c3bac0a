import type { CloudEventAttributes } from './attributes.ts'

/** One CloudEvent on its way to a sink. */
export interface OutboundEvent {
  /** All context attributes; `id`, `source`, `type` never change between attempts. */
  readonly attributes: CloudEventAttributes
  /** Names the lane: events with one key leave one after the other, in the order they were offered. */
  readonly key: string
  /** Name of the stream that it belongs to: what `begin`, `end` and `gap` are fences of. */
  readonly stream: string
  readonly kind: 'change' | 'item' | 'begin' | 'end' | 'aborted' | 'gap'
  /**
   * It makes everything void that its stream offered before it: of that nothing leaves after it any more, and it waits
   * until what is under way has settled. Only a `gap`, where the server began another history.
   */
  readonly supersedes?: 'stream'
  /** JSON text, serialised once and shared by all sinks. Absent: an event without data. */
  readonly data: string | undefined
  /** Length of `data` in UTF-8 bytes; 0 if absent. */
  readonly dataBytes: number
  /** The next smaller form of the same event (same id), or undefined when there is none. */
  smaller?(): OutboundEvent | undefined
  /**
   * The same event (same id) as it goes out: of an `end`, made when everything that its stream offered before it is
   * settled, because it tells what became of that.
   */
  final?(): OutboundEvent
  /** The event that goes out instead of an `end` which may not wait any longer for what its stream offered before it. */
  aborted?(cause: string): OutboundEvent
  /**
   * This event and a newer one of the same object in one, with the id of the newer and `collapsed`; undefined if both
   * must be told. Cheap: its data is written when that is asked for.
   */
  merge?(newer: OutboundEvent): OutboundEvent | undefined
}
