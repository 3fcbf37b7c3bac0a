/** What arrived at Kafka and behind a rule of EventBridge, as the oracle reads events. */
import type { ConsumedRecord } from '../../testbed/kafka-console.ts'
import type { RuleEvent } from '../../testbed/moto.ts'
import type { ReceivedEvent } from '../../testbed/receiver.ts'

/** A record in binary mode: attributes are `ce_` headers. Source: CloudEvents Kafka Protocol Binding, 3.2. */
export function ofRecord({ headers, value }: ConsumedRecord): ReceivedEvent {
  const attributes = Object.entries(headers).flatMap(([name, text]) =>
    name.startsWith('ce_') ? [[name.slice(3), text] as const] : [],
  )
  return received({ ...Object.fromEntries(attributes), data: value === null ? undefined : JSON.parse(value) })
}

/**
 * The detail of what a rule passed is the event. EventBridge promises no order: these are in that of their objects'
 * versions, a deletion last.
 */
export function ofRule(events: readonly RuleEvent[]): readonly ReceivedEvent[] {
  const place = ({ sequence, type }: ReceivedEvent) => `${sequence} ${type.includes('.deleted.') ? 1 : 0}`
  return events.map(({ detail }) => received(detail)).toSorted((one, other) => (place(one) < place(other) ? -1 : 1))
}

function received(event: Readonly<Record<string, unknown>>): ReceivedEvent {
  const { id, source, type, data, ...others } = event
  if (typeof id === 'string' && typeof source === 'string' && typeof type === 'string')
    return { ...others, id, source, type, data }
  throw new Error(`this is no CloudEvent: ${Object.keys(event).join()}`)
}
