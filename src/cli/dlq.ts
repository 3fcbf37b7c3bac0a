/** `deltawire dlq list|show|replay`: what a running bridge could not deliver, and sending it again. */
import type { DeadLetterSummary, ReplayOutcome, ReplayRequest, ReplayResult } from '../admin/dead-letters.ts'
import { type AdminEdge, talk } from './admin-edge.ts'
import { ExitCode } from './exit-code.ts'
import { table } from './table.ts'

const PAGE = 500

export interface ListOptions {
  readonly sink?: string | undefined
  /** At most so many. */
  readonly limit: number
}

/** Oldest first. */
export async function list({ sink, limit }: ListOptions, edge: AdminEdge): Promise<ExitCode> {
  return await talk(edge, async (client) => {
    let told = 0
    let after: string | undefined
    const rows: (readonly string[])[] = []
    for (;;) {
      const { store, items, next } = await client.list({ sink, after, limit: Math.min(PAGE, limit - told) })
      told += items.length
      if (edge.output === 'json') for (const item of items) edge.stdout.write(`${JSON.stringify(item)}\n`)
      else rows.push(...items.map(rowOf))
      after = next
      if (next !== undefined && told < limit) continue
      if (edge.output === 'text') {
        if (rows.length > 0) edge.stdout.write(table(['ID', 'SINK', 'TIME', 'REASON', 'EVENT', 'OBJECT'], rows))
        edge.stderr.write(footer(told, sink, next !== undefined, store))
      }
      return ExitCode.done
    }
  })
}

function rowOf({ id, sink, code, reason, time, attributes }: DeadLetterSummary): readonly string[] {
  const why = reason.length > 60 ? `${reason.slice(0, 59)}…` : reason
  return [id, sink, time.replace(/\.\d+Z$/, 'Z'), `${code}: ${why}`, nameOf(attributes.type), objectOf(attributes)]
}

function footer(
  told: number,
  sink: string | undefined,
  isMore: boolean,
  store: { readonly type: string; readonly dropped: number },
): string {
  const of = sink === undefined ? '' : ` of sink ${sink}`
  const more = isMore ? ', and there are more: raise --limit' : ''
  const where = store.type === 'memory' ? '; they are in memory, and lost when the bridge ends' : ''
  const dropped = store.dropped > 0 ? `; ${store.dropped} older ones were dropped since the start` : ''
  return `${counted(told)}${of}${more}${where}${dropped}\n`
}

export async function show(id: string, edge: AdminEdge): Promise<ExitCode> {
  return await talk(edge, async (client) => {
    const { data, ...letter } = await client.show(id)
    const event = { ...letter.attributes, ...(data !== undefined && { data: JSON.parse(data) as unknown }) }
    const { sink, code, reason, attempts, time } = letter
    const indent = edge.output === 'text' ? 2 : 0
    edge.stdout.write(`${JSON.stringify({ id, sink, code, reason, attempts, time, event }, null, indent)}\n`)
    return ExitCode.done
  })
}

export interface ReplayOptions {
  readonly ids: readonly string[]
  readonly sink?: string | undefined
  readonly all: boolean
}

/** Waits for the outcome of each, however long a sink is out of order. Done if all were delivered. */
export async function replay(options: ReplayOptions, edge: AdminEdge): Promise<ExitCode> {
  const request = requestOf(options)
  if (!request) {
    edge.stderr.write(
      'say what to replay: ids as dlq list shows them, or --sink NAME, or --all; and one of them only\n',
    )
    return ExitCode.usage
  }
  return await talk(edge, async (client) => {
    const counts = new Map<ReplayOutcome, number>()
    for await (const result of client.replay(request)) {
      counts.set(result.outcome, (counts.get(result.outcome) ?? 0) + 1)
      edge.stdout.write(edge.output === 'json' ? `${JSON.stringify(result)}\n` : lineOf(result))
    }
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    if (edge.output === 'text') {
      const parts = [...counts].map(([outcome, count]) => `${count} ${words[outcome]}`)
      edge.stderr.write(total === 0 ? 'nothing to replay\n' : `${parts.join(', ')}\n`)
    }
    return total === (counts.get('delivered') ?? 0) ? ExitCode.done : ExitCode.failed
  })
}

function requestOf({ ids, sink, all }: ReplayOptions): ReplayRequest | undefined {
  const given: ReplayRequest[] = []
  if (ids.length > 0) given.push({ type: 'ids', ids })
  if (sink !== undefined) given.push({ type: 'sink', sink })
  if (all) given.push({ type: 'all' })
  return given.length === 1 ? given[0] : undefined
}

const words: Readonly<Record<ReplayOutcome, string>> = {
  delivered: 'delivered',
  'given-up': 'given up again',
  refused: 'refused',
  unsettled: 'not settled',
  missing: 'not there',
}

/** `41  delivered  updated pods shop/web to audit` */
function lineOf({ id, outcome, reason, letter }: ReplayResult): string {
  const what = letter ? `  ${nameOf(letter.attributes.type)} ${objectOf(letter.attributes)} to ${letter.sink}` : ''
  return `${id}  ${words[outcome]}${what}${reason === undefined ? '' : `: ${reason}`}\n`
}

/** `io.deltawire.object.added.v1` -> `added`. */
function nameOf(type: string | boolean | undefined): string {
  return /\.([a-z]+)\.v\d+$/.exec(String(type))?.[1] ?? String(type)
}

function objectOf({ resource, subject, stream }: DeadLetterSummary['attributes']): string {
  return subject === undefined ? `stream ${String(stream)}` : `${String(resource)} ${String(subject)}`
}

const counted = (count: number) => (count === 0 ? 'no dead letters' : `${count} dead letter${count === 1 ? '' : 's'}`)
