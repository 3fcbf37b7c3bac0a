/** Packages of the machine's own Debian, to unpack into a folder: nothing is installed, and no root is needed. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a component of Debian packages needs. */
export const APT = 'apt-get and dpkg, that is Debian 12 or newer, or an Ubuntu like it'

/** `debian-bookworm`: the packages are those of the machine's release. */
export function release(): string {
  const file = '/etc/os-release'
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const field = (name: string) => new RegExp(`^${name}="?([a-z0-9.-]+)"?$`, 'm').exec(text)?.[1] ?? 'unknown'
  return `${field('ID')}-${field('VERSION_CODENAME')}`
}

/** These packages and all that they depend on, down to libc. */
export async function withDependencies(packages: readonly string[]): Promise<readonly string[]> {
  const kinds = ['suggests', 'recommends', 'conflicts', 'breaks', 'replaces', 'enhances']
  const args = ['depends', '--recurse', ...kinds.map((kind) => `--no-${kind}`), ...packages]
  return await withLists(async () => {
    const { stdout } = await run('apt-cache', args)
    // At the margin are packages: those in <> exist by what provides them alone, which is listed too; those with a colon
    // are of another architecture
    const found = new Set(stdout.split('\n').filter((line) => /^[a-z0-9][^:]*$/.test(line)))
    // without lists it speaks of those alone that are installed
    const unknown = packages.filter((name) => !found.has(name))
    if (unknown.length > 0) throw new Error(`apt-cache does not know ${unknown.join(', ')}`)
    return [...found]
  })
}

/** Into the folder, as archives. */
export async function download(folder: string, packages: readonly string[]): Promise<void> {
  const options = { cwd: folder, maxBuffer: 16 * 1024 * 1024 }
  await withLists(() => run('apt-get', ['download', ...packages], options))
}

/**
 * What `ask` says; if it fails, what it says with fresh lists of packages. Machines that are kept small have no lists, and
 * old lists name versions that are gone.
 */
export async function withLists<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    const takesRoot =
      'The lists of Debian packages are missing or old. `apt-get update`, which mends that, failed: run it as root.'
    await run('apt-get', ['update']).catch(() => Promise.reject(new Error(takesRoot, { cause })))
    return await ask()
  }
}
