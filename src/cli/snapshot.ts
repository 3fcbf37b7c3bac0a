/** `deltawire snapshot SOURCE|STREAM`: asks a running bridge for a snapshot. */
import type { SnapshotLine } from '../admin/snapshots.ts'
import { type AdminEdge, talk } from './admin-edge.ts'
import { ExitCode } from './exit-code.ts'

export interface SnapshotOptions {
  readonly namespace?: readonly string[] | undefined
  readonly selector?: string | undefined
  readonly sink?: string | undefined
  readonly wait: boolean
}

/** A line for each snapshot that begins, and for its end if that is waited for. Fails if one is aborted. */
export async function snapshot(of: string, options: SnapshotOptions, edge: AdminEdge): Promise<ExitCode> {
  const { namespace: namespaces, selector: labelSelector, sink, wait } = options
  const until = wait ? 'ended' : 'began'
  return await talk(edge, async (client) => {
    const last = new Map<string, SnapshotLine>()
    for await (const line of client.snapshot({ of, sink, namespaces, labelSelector, until })) {
      last.set(`${line.stream} ${line.sink}`, line)
      if (edge.output === 'json') edge.stdout.write(`${JSON.stringify(line)}\n`)
      else if (line.type !== 'requested') edge.stdout.write(textOf(line))
    }
    const lines = [...last.values()]
    const waiting = lines.filter(({ type }) => type === 'requested')
    if (edge.output === 'text') for (const line of waiting) edge.stdout.write(textOf(line))
    return lines.some(({ type }) => type === 'aborted') ? ExitCode.failed : ExitCode.done
  })
}

/** `workloads/pods to audit: began workloads/pods:b7Qm2x` */
function textOf(line: SnapshotLine): string {
  return `${line.stream} to ${line.sink}: ${stateOf(line)}\n`
}

function stateOf(line: SnapshotLine): string {
  switch (line.type) {
    case 'requested':
      return 'requested; it begins when what is running has ended, the sink has room and the stream is up to date'
    case 'began':
      return `began ${line.snapshotId}${line.mode === 'part' ? ' (part)' : ''}`
    case 'completed': {
      const digests = line.members === undefined ? '' : `, members ${line.members}, state ${line.state}`
      return `complete, ${line.items} item${line.items === 1 ? '' : 's'}${digests}`
    }
    case 'aborted':
      return `aborted: ${line.cause}`
  }
}
