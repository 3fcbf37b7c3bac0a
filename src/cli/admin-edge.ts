/** What the commands that talk to a running bridge have in common. */
import { AdminClient, AdminError } from '../admin/client.ts'
import { ExitCode } from './exit-code.ts'

export interface AdminEdge {
  /** Of the admin API, without a path: `http://127.0.0.1:8090`. */
  readonly url: string
  /** `json`: an object a line, for programs. */
  readonly output: AdminOutput
  readonly stdout: Output
  readonly stderr: Output
  readonly signal: AbortSignal
}

export const adminOutputs = ['text', 'json'] as const
export type AdminOutput = (typeof adminOutputs)[number]

interface Output {
  write(text: string): unknown
}

/** Does the work with the bridge at this address. Says what is wrong with the address, or in its answer. */
export async function talk(
  { url, stderr, signal }: AdminEdge,
  work: (client: AdminClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  const base = URL.parse(url)
  if (!base?.protocol.startsWith('http')) {
    stderr.write('--url: not an absolute URL such as http://127.0.0.1:8090\n')
    return ExitCode.usage
  }
  if (base.username !== '' || base.password !== '') {
    stderr.write('--url: the admin API has no login: leave user and password out of the address\n')
    return ExitCode.usage
  }
  try {
    return await work(new AdminClient(base, signal))
  } catch (error) {
    if (!(error instanceof AdminError)) throw error
    stderr.write(`${error.message}\n`)
    return error.code === 'asked' ? ExitCode.usage : ExitCode.failed
  }
}
