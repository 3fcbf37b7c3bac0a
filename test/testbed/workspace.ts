import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'

/** A process that can be asked whether it runs, and what it said. */
export interface Watched {
  readonly running: boolean
  /** The file with its output, and the last lines of it. */
  tail(): Promise<string>
}

/** A running process of a workspace. */
export interface Program extends Watched {
  readonly pid: number
  /** Null while it runs, and after a signal ended it. */
  readonly exitCode: number | null
  /** Sends the signal and resolves when the process has ended. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/**
 * What `probe` returns, as soon as that is neither undefined nor false. Rejects with the program's last lines if that is
 * not so within a minute, or never can be because the program has ended.
 */
export async function whileRunning<T>(
  program: Watched,
  what: string,
  probe: () => Promise<T>,
): Promise<Exclude<T, undefined | false>> {
  const orEnded = async () => (program.running ? await probe() : 'ended')
  try {
    const found = await eventually(orEnded, { withinMs: 60_000, what })
    if (program.running) return found as Exclude<T, undefined | false>
  } catch (error) {
    throw new Error(`${what}: not so within a minute. The last that was said, in ${await program.tail()}`, {
      cause: error,
    })
  }
  throw new Error(`${what}: the program has ended. The last that it said, in ${await program.tail()}`)
}

/**
 * A temporary folder and the processes that were started in it. Disposing kills them and removes the folder; if this
 * process dies before that, even by SIGKILL, the guard does.
 */
export class Workspace implements AsyncDisposable {
  readonly folder: string
  readonly #guard: ChildProcess
  readonly #programs = new Set<Program>()

  private constructor(folder: string) {
    this.folder = folder
    const guard = join(import.meta.dirname, 'guard.ts')
    this.#guard = spawn(process.execPath, [guard, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    this.#guard.stdin?.on('error', () => {})
    this.#guard.unref()
  }

  static async create(name: string): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(tmpdir(), `deltawire-${name}-`)))
  }

  /** Starts a program; what it prints goes to `<name>.log` in the folder. */
  start(name: string, file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    const log = join(this.folder, `${name}.log`)
    const output = openSync(log, 'a')
    const child = spawn(file, args, {
      cwd: this.folder,
      stdio: ['ignore', output, output],
      detached: true,
      env: { ...process.env, ...env },
    })
    closeSync(output)
    const { pid } = child
    if (pid === undefined) {
      child.once('error', () => {}) // says the same, a moment later
      throw new Error(`${file} could not be started: is it there, and executable?`)
    }
    this.#guard.stdin?.write(`+ ${pid}\n`)
    // from then on the pid may be somebody else's
    const ended = once(child, 'exit').then(() => this.#guard.stdin?.write(`- ${pid}\n`))
    const program: Program = {
      pid,
      get running() {
        return child.exitCode === null && child.signalCode === null
      },
      get exitCode() {
        return child.exitCode
      },
      end: async (signal) => {
        this.#programs.delete(program)
        child.kill(signal)
        await ended
      },
      tail: async () => `${log}\n${(await readFile(log, 'utf8')).split('\n').slice(-15).join('\n')}`,
    }
    this.#programs.add(program)
    return program
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.end('SIGKILL')))
    if (this.#guard.exitCode !== null || this.#guard.signalCode !== null) return
    const gone = once(this.#guard, 'exit')
    this.#guard.ref()
    this.#guard.stdin?.end()
    await gone
  }
}

// Below the ports that systems give to outgoing connections (32768 and above on Linux, 49152 elsewhere): one of those could
// otherwise take the port of a server that is down for a moment, and even connect to itself.
const PORTS = { first: 20_000, count: 10_000 } as const

/** Different loopback ports that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = new Map<number, Server>()
  while (servers.size < count) {
    const port = PORTS.first + randomInt(PORTS.count)
    if (servers.has(port)) continue
    const server = createServer()
    const listening = once(server, 'listening').then(
      () => true,
      () => false, // taken: another one then
    )
    server.listen(port, '127.0.0.1')
    if (await listening) servers.set(port, server)
  }
  await Promise.all([...servers.values()].map((server) => once(server.close(), 'close')))
  return [...servers.keys()]
}
