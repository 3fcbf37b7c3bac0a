import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A running process of a workspace. */
export interface Program {
  readonly pid: number
  readonly running: boolean
  /** Null while it runs, and after a signal ended it. */
  readonly exitCode: number | null
  /** Sends the signal and resolves when the process has ended. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** The last lines of its output. */
  tail(): Promise<string>
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
    const ended = once(child, 'exit').catch((error: unknown) => {
      throw new Error(`${file} could not be started`, { cause: error })
    })
    ended.catch(() => undefined) // told by whoever waits for the program
    const { pid } = child
    if (pid === undefined) throw new Error(`${file} could not be started`)
    this.#guard.stdin?.write(`+ ${pid}\n`)
    const program: Program = {
      pid,
      get running() {
        return child.exitCode === null && child.signalCode === null
      },
      get exitCode() {
        return child.exitCode
      },
      end: async (signal) => {
        if (this.#programs.delete(program)) child.kill(signal)
        await ended
        this.#guard.stdin?.write(`- ${pid}\n`)
      },
      tail: async () => (await readFile(log, 'utf8')).split('\n').slice(-15).join('\n'),
    }
    this.#programs.add(program)
    return program
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.end('SIGKILL')))
    if (this.#guard.exitCode !== null) return
    const gone = once(this.#guard, 'exit')
    this.#guard.ref()
    this.#guard.stdin?.end()
    await gone
  }
}

/** Loopback ports that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
