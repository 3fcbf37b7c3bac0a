/** How a batch's events for one partition are sent: in order, in pieces that Kafka takes. */
import { DeliveryError, deliveryErrors } from '../../src/delivery/sink.ts'

/** An event on its way to a partition. */
export interface Placed {
  /** Its place in the batch. */
  readonly index: number
  readonly key: string
  /** What it takes in a record batch, at most. */
  readonly bytes: number
}

export interface SendOptions<P extends Placed> {
  /** One record batch. Rejects with a DeliveryError, or the reason of an abort. */
  readonly send: (events: readonly P[]) => Promise<void>
  readonly maxBytes: number
  /** A record batch of several events was too large for the topic. */
  readonly onTooLarge: () => void
}

/** The client's time grows with the square of this. */
const MAX_RECORDS = 500

/**
 * Sends the events, and returns why some of them failed, by index; all others are accepted. Never rejects.
 * - Of a record batch that is refused for its content the halves are sent, until the event is found that is at fault.
 * - Behind an event that failed no other of its key is sent: it fails with it, as one that was not tried.
 * - Once the cluster takes nothing, or the attempt is over, nothing more is sent.
 */
export async function sendInOrder<P extends Placed>(
  events: readonly P[],
  options: SendOptions<P>,
): Promise<ReadonlyMap<number, DeliveryError>> {
  const failures = new Map<number, DeliveryError>()
  const failedKeys = new Set<string>()
  const fail = ({ index, key }: P, error: DeliveryError) => {
    failures.set(index, error)
    failedKeys.add(key)
  }
  let over: DeliveryError | undefined
  const pieces = cut(events, options.maxBytes).reverse()
  for (let piece = pieces.pop(); piece; piece = pieces.pop()) {
    const ready: P[] = []
    for (const event of piece) {
      if (over) fail(event, over)
      else if (failedKeys.has(event.key))
        fail(event, new DeliveryError('failed', 'an event before it, of its key, failed'))
      else ready.push(event)
    }
    if (ready.length === 0) continue
    const error = await attempt(options.send(ready))
    if (!error) continue
    if (ready.length > 1 && deliveryErrors[error.code].class === 'permanent') {
      if (error.code === 'too-large') options.onTooLarge()
      const middle = Math.ceil(ready.length / 2)
      pieces.push(ready.slice(middle), ready.slice(0, middle))
      continue
    }
    for (const event of ready) fail(event, error)
    if (isOver(error)) over = error
  }
  return failures
}

async function attempt(sent: Promise<void>): Promise<DeliveryError | undefined> {
  try {
    await sent
    return undefined
  } catch (error) {
    return asDeliveryError(error)
  }
}

/** What ended an attempt, if it is no DeliveryError, is its signal. */
export function asDeliveryError(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error
  const isTimeout = error instanceof Error && error.name === 'TimeoutError'
  return new DeliveryError(isTimeout ? 'timeout' : 'unavailable', 'Kafka did not answer before the attempt ended', {
    cause: error,
  })
}

function isOver({ code }: DeliveryError): boolean {
  return code === 'timeout' || deliveryErrors[code].class === 'sink'
}

/** In order; an event that is larger than a piece may be is one by itself. */
function cut<P extends Placed>(events: readonly P[], maxBytes: number): P[][] {
  const pieces: P[][] = []
  let piece: P[] = []
  let bytes = 0
  for (const event of events) {
    if (piece.length > 0 && (piece.length === MAX_RECORDS || bytes + event.bytes > maxBytes)) {
      pieces.push(piece)
      piece = []
      bytes = 0
    }
    piece.push(event)
    bytes += event.bytes
  }
  if (piece.length > 0) pieces.push(piece)
  return pieces
}
