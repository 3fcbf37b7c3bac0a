/** For tests: a copy of the sources in which one rule is broken, and lives at random that are to notice. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Mutant } from './mutants.ts'

const root = join(import.meta.dirname, '../../..')

/** Runs in the copy. Type errors are none of its business: types are stripped. */
const program = `
import fc from 'fast-check'
const { keepLives } = await import(process.cwd() + '/src/bridge/testing/keep-lives.ts')
const { livesWith } = await import(process.cwd() + '/src/bridge/testing/lives.ts')
const { knownLives } = await import(process.cwd() + '/src/bridge/testing/known-lives.ts')
const [seed, numRuns] = process.argv.slice(1).map(Number)
const property = fc.asyncProperty(livesWith('ledger'), async (lives) => void (await keepLives(lives)))
const { failed, numRuns: histories, errorInstance } = await fc.check(property, {
  seed,
  numRuns,
  endOnFailure: true,
  examples: Object.values(knownLives).map((lives) => [lives]),
})
const reason = String(errorInstance?.message ?? errorInstance).split('\\n')[0]
process.stdout.write(JSON.stringify(failed ? { type: 'caught', histories, reason } : { type: 'survived' }))
process.exit(0)
`

export type Verdict =
  | { readonly type: 'caught'; readonly histories: number; readonly reason: string }
  | { readonly type: 'survived' }

export interface Search {
  readonly seed: number
  /** So many, at most; the known ones come first. */
  readonly histories: number
}

/** Histories take milliseconds: a process that is not over by then goes round in circles. */
const TIMEOUT_MS = 600_000

export class MutationBench implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(): Promise<MutationBench> {
    const folder = await mkdtemp(join(tmpdir(), 'deltawire-mutants-'))
    const isPart = (path: string) => !path.endsWith('.test.ts')
    await cp(join(root, 'src'), join(folder, 'src'), { recursive: true, filter: isPart })
    await cp(join(root, 'package.json'), join(folder, 'package.json'))
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    return new MutationBench(folder)
  }

  /** Rejects if the mutant is out of date. */
  async run(mutant: Mutant, { seed, histories }: Search): Promise<Verdict> {
    const file = join(this.#folder, 'src', mutant.file)
    const source = await readFile(file, 'utf8')
    await writeFile(file, mutated(mutant, source))
    try {
      return await this.#search(seed, histories)
    } finally {
      await writeFile(file, source)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  #search(seed: number, histories: number): Promise<Verdict> {
    const args = ['--input-type=module', '--eval', program, '--', String(seed), String(histories)]
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: this.#folder, timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
        if (!error) resolve(JSON.parse(stdout) as Verdict)
        else
          resolve({ type: 'caught', histories: Number.NaN, reason: stderr.match(/\w*Error.*/)?.[0] ?? error.message })
      })
    })
  }
}

/** The source with the rule broken. Throws if the source has changed so that the mutant says nothing about it any more. */
export function mutated({ without, file, from, to }: Mutant, source: string): string {
  const parts = source.split(from)
  if (parts.length === 2) return parts.join(to)
  throw new Error(
    `the mutant without "${without}" is out of date: ${JSON.stringify(from)} stands ${parts.length - 1} times in ` +
      `src/${file}, not once. Write it anew in src/bridge/testing/mutants.ts`,
  )
}

/** As it is. */
export function sourceOf({ file }: Mutant): Promise<string> {
  return readFile(join(root, 'src', file), 'utf8')
}
