/**
 * A component that tests run on is installed once per machine, into the user's cache folder, under its name and version.
 * It is made beside its place and renamed: what is there is whole.
 */
import {
  access,
  appendFile,
  constants,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { eventually } from '../support/eventually.ts'

export interface Component {
  readonly name: string
  readonly version: string
  /** The file that is there when it is installed, relative to its folder. */
  readonly file: string
  /** Programs that the machine must have to install it, and how to get them. */
  readonly needs: Readonly<Record<string, string>>
  /** Fills the empty folder. */
  install(folder: string): Promise<void>
  /** What the installed thing says of its own version. */
  ask(file: string): Promise<string>
}

/** `~/.cache/deltawire` */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'deltawire')
}

/** Where it is installed: `~/.cache/deltawire/etcd-3.6.16`. */
function folderOf({ name, version }: Component): string {
  return join(cacheFolder(), `${name}-${version}`)
}

/** The file to run or import, whether it is there or not. */
export function fileOf(component: Component): string {
  return join(folderOf(component), component.file)
}

/**
 * Path of the installed component's file; installs it first if it is not there. Rejects, naming what is missing and how
 * to get it, when the machine cannot. Notes for the report of the test run that it really was used.
 */
export async function use(component: Component): Promise<string> {
  const file = fileOf(component)
  await install(component)
  const report = process.env.DELTAWIRE_TEST_REPORT
  if (report) await appendFile(report, `${component.name}\n`)
  return file
}

/**
 * Installs it if it is not there, saying so on standard error. Of several processes that want it, one makes it and the
 * others wait. Rejects, naming what the machine lacks, if it cannot be had.
 */
export async function install(component: Component): Promise<void> {
  const { name, version, needs } = component
  const folder = folderOf(component)
  const there = () => exists(join(folder, component.file))
  if (await there()) return
  const what = `${name} ${version}`
  for (const [program, how] of Object.entries(needs)) {
    if (!(await onPath(program)))
      throw new Error(`${what} cannot be installed: this machine has no ${program}. It takes ${how}.`)
  }
  await mkdir(dirname(folder), { recursive: true })
  await using _ = await lock(`${folder}.lock`, `another process to install ${what}`)
  if (await there()) return
  await removeLeftovers(folder)
  const temporary = await mkdtemp(`${folder}${MAKING}`)
  using progress = new Progress(what, folder)
  try {
    await component.install(temporary)
    await rename(temporary, folder)
  } catch (error) {
    const takes = [...new Set(Object.values(needs))].join('; ')
    throw new Error(`${what} could not be installed. It takes ${takes}, and the registry it comes from.`, {
      cause: error,
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  progress.done()
}

const MAKING = '.making-'

/** Of makers that were killed: whoever holds the lock is the only living one. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    if (name.startsWith(basename(folder) + MAKING))
      await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}

/** A file with the pid of its holder. That of a process that has ended holds nobody off. */
async function lock(file: string, what: string): Promise<AsyncDisposable> {
  const take = async () => {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return { error }
    }
    const holder = await readFile(file, 'utf8').catch(() => '') // it was let go of just now
    if (holder && !isAlive(Number(holder))) await rm(file, { force: true })
    return false
  }
  const taken = await eventually(take, { withinMs: 30 * 60_000, what })
  if (taken !== true) throw taken.error
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const PROGRESS_EVERY_MS = 30_000

/** Tells that something takes its time, so that nobody takes it for dead. */
class Progress implements Disposable {
  readonly #what: string
  readonly #started = performance.now()
  readonly #timer: NodeJS.Timeout

  constructor(what: string, folder: string) {
    this.#what = what
    process.stderr.write(`Installing ${what} (once, into ${folder}) ...\n`)
    this.#timer = setInterval(() => process.stderr.write(`Still installing ${this.#lasts()}\n`), PROGRESS_EVERY_MS)
  }

  done(): void {
    process.stderr.write(`Installed ${this.#lasts()}\n`)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #lasts(): string {
    return `${this.#what}: ${Math.round((performance.now() - this.#started) / 1000)} s`
  }
}

async function onPath(program: string): Promise<boolean> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  for (const folder of folders) {
    const found = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false, // not in this one
    )
    if (found) return true
  }
  return false
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
