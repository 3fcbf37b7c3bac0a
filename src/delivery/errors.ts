/**
 * Why an event was not delivered, in one table. `class` decides what the worker does:
 * - `event`: only this event's lane backs off and tries again, until the event's budget is spent;
 * - `permanent`: this event goes to the dead letters at once;
 * - `sink`: the whole sink is out of order; all of it waits, and no event spends its budget.
 * Failures of the first two classes count as one of the sink when events of many keys fail in a row (judge.ts).
 *
 * `partial` decides instead of `sink` when others of the same batch were delivered, which shows that the sink is in order:
 * - `event`: as the class `event`. It may be about what this event needs: its topic, its partition, a right;
 * - `rate`: the sink takes less than it is sent. The event waits a little, fewer batches are in flight (ramp.ts), and no
 *   event ever spends its budget for it, be it of a part of a batch or of a whole one.
 */
export const deliveryErrors = {
  failed: { class: 'event' },
  timeout: { class: 'event' },
  conflict: { class: 'event' },
  rejected: { class: 'permanent' },
  malformed: { class: 'permanent' },
  unsupported: { class: 'permanent' },
  'too-large': { class: 'permanent' },
  unavailable: { class: 'sink', partial: 'event' },
  unauthorized: { class: 'sink', partial: 'event' },
  throttled: { class: 'sink', partial: 'rate' },
  gone: { class: 'sink', partial: 'event' },
} as const satisfies Record<
  string,
  { readonly class: 'event' | 'permanent' } | { readonly class: 'sink'; readonly partial: 'event' | 'rate' }
>

export type DeliveryErrorCode = keyof typeof deliveryErrors

/** Whether the sink is in order and asks to be sent less. */
export function isThrottle(code: DeliveryErrorCode): boolean {
  const row = deliveryErrors[code]
  return row.class === 'sink' && row.partial === 'rate'
}

/**
 * A failed delivery. `message` holds at most 1 KiB and never a payload, a header or the query of a URL. Throws a TypeError
 * for a code that there is not.
 */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  readonly code: DeliveryErrorCode
  /** What the target asked for; a floor of the next delay of the whole sink. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: DeliveryErrorCode,
    message: string,
    details: { readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message.slice(0, 1024), details.cause === undefined ? undefined : { cause: details.cause })
    if (!Object.hasOwn(deliveryErrors, code)) {
      throw new TypeError(`there is no code ${String(code)}, only ${Object.keys(deliveryErrors).join(', ')}`)
    }
    this.code = code
    const { retryAfterMs } = details
    // what a target said may be no number; nothing is as good as that
    this.retryAfterMs = Number.isFinite(retryAfterMs) && Number(retryAfterMs) >= 0 ? retryAfterMs : undefined
  }

  get retryable(): boolean {
    return deliveryErrors[this.code].class !== 'permanent'
  }
}
