/** A script in a process of its own that answers calls, one after the other: what it costs is not measured with the rest. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** What a script can be asked, by name. */
type Calls<C> = { readonly [K in keyof C]: (argument: never) => unknown }

interface Call {
  readonly name: string
  readonly argument: unknown
}

type Answer = { readonly value: unknown } | { readonly error: string }

export class Child<C extends Calls<C>> implements AsyncDisposable {
  readonly #process: ChildProcess
  #calls: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess) {
    this.#process = child
  }

  /** `script`: a file that calls `answer`. The process ends with this one. */
  static start<C extends Calls<C>>(script: string): Child<C> {
    return new Child<C>(fork(script, { serialization: 'advanced' }))
  }

  /** Rejects with what the call threw there, or if the process has ended. */
  async call<K extends keyof C & string>(name: K, argument: Parameters<C[K]>[0]): Promise<Awaited<ReturnType<C[K]>>> {
    const answered = this.#calls.then(() => this.#ask({ name, argument }))
    this.#calls = answered.catch(() => undefined) // thrown below, to whoever asked
    return (await answered) as Awaited<ReturnType<C[K]>>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  async #ask(call: Call): Promise<unknown> {
    const over = new AbortController()
    try {
      const answered = once(this.#process, 'message', { signal: over.signal })
      const ended = once(this.#process, 'exit', { signal: over.signal }).then(() => {
        throw new Error(`the process that was asked for ${call.name} has ended`)
      })
      this.#process.send(call)
      const [answer] = (await Promise.race([answered, ended])) as [Answer]
      if ('error' in answer) throw new Error(`${call.name}: ${answer.error}`)
      return answer.value
    } finally {
      over.abort()
    }
  }
}

/** Of the script: answers what its parent asks, and ends with it. */
export function answer<C extends Calls<C>>(calls: C): void {
  const byName = new Map(Object.entries(calls) as [string, (argument: unknown) => unknown][])
  const reply = async ({ name, argument }: Call): Promise<Answer> => {
    try {
      return { value: await byName.get(name)?.(argument) }
    } catch (error) {
      return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
  }
  process.on('message', (call: Call) => void reply(call).then((said) => process.send?.(said)))
  process.on('disconnect', () => process.exit())
}
