import { styleText } from 'node:util'
import type { OutboundEvent } from '../../src/delivery/sink.ts'

type Style = Parameters<typeof styleText>[0]

/** How each type of event is shown. */
const looks: Readonly<Record<string, { readonly label: string; readonly style: Style }>> = {
  'io.deltawire.object.added.v1': { label: 'added', style: 'green' },
  'io.deltawire.object.updated.v1': { label: 'updated', style: 'yellow' },
  'io.deltawire.object.deleted.v1': { label: 'deleted', style: 'red' },
  'io.deltawire.snapshot.begin.v1': { label: 'begin', style: ['cyan', 'bold'] },
  'io.deltawire.snapshot.item.v1': { label: 'item', style: 'cyan' },
  'io.deltawire.snapshot.end.v1': { label: 'end', style: ['cyan', 'bold'] },
  'io.deltawire.snapshot.aborted.v1': { label: 'aborted', style: ['magenta', 'bold'] },
  'io.deltawire.stream.gap.v1': { label: 'gap', style: ['magenta', 'bold'] },
}

const CHANGED_SHOWN = 4

export interface PrettyOptions {
  readonly colors: boolean
  readonly now: Date
}

/**
 * One line for people: when it is written (UTC: an event's own time may be long ago, and goes back), type, resource,
 * `namespace/name` or the stream, and what there is to say about it. For example
 *
 *     12:00:03 updated  deployments.apps   shop/web   /spec/replicas, /status/replicas
 *     12:00:04 end      pods               workloads/pods   snapshot complete: 12 items, 1 added, 2 updated, 0 deleted, 9 unchanged
 */
export function pretty({ attributes, stream, data }: OutboundEvent, { colors, now }: PrettyOptions): string {
  const paint = (style: Style, text: string) => (colors ? styleText(style, text, { validateStream: false }) : text)
  const { label, style } = looks[attributes.type] ?? { label: attributes.type, style: 'reset' }
  const time = now.toISOString().slice(11, 19)
  const resource = typeof attributes.resource === 'string' ? attributes.resource : ''
  const subject = attributes.subject || stream
  const what = describe(parse(data))
  const notes = [attributes.collapsed === true && 'collapsed', attributes.degraded && 'degraded'].filter(Boolean)
  const line = [
    paint('dim', plain(time)),
    paint(style, plain(label).padEnd(8)),
    plain(resource).padEnd(20),
    subject && paint('bold', plain(subject)),
    what && paint('dim', plain(what)),
    notes.length > 0 && paint('magenta', notes.join(' ')),
  ]
  return line.filter(Boolean).join(' ')
}

function describe(data: Record<string, unknown>): string {
  if (Array.isArray(data.changed)) {
    const shown = data.changed.slice(0, CHANGED_SHOWN).join(', ')
    const more = data.changed.length - CHANGED_SHOWN
    return more > 0 ? `${shown} and ${more} more` : shown
  }
  const snapshot = record(data.snapshot)
  if (snapshot) return describeSnapshot(snapshot)
  const gap = record(data.gap)
  return gap ? `${text(gap.cause)}: versions from ${text(gap.from)} to ${text(gap.to)} were not seen` : ''
}

function describeSnapshot(snapshot: Record<string, unknown>): string {
  if (snapshot.cause !== undefined) return `snapshot aborted: ${text(snapshot.cause)}`
  if (snapshot.items === undefined) return `${text(snapshot.mode)} snapshot, ${text(snapshot.reason)}`
  const counts = ['items', 'added', 'updated', 'deleted', 'unchanged']
    .filter((name) => snapshot[name] !== undefined)
    .map((name) => `${text(snapshot[name])} ${name}`)
  return `snapshot complete: ${counts.join(', ')}`
}

function parse(data: string | undefined): Record<string, unknown> {
  if (data === undefined) return {}
  return record(JSON.parse(data)) ?? {}
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}

function text(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Names and pointers are chosen by others: no control character of theirs may reach a terminal. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�')
}
