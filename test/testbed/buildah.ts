/** buildah, which makes container images from a Dockerfile without a daemon. */
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Component, fileOf } from './component.ts'
import { APT, download, release, withLists } from './debian-packages.ts'

const run = promisify(execFile)

const PACKAGES = ['buildah', 'golang-github-containers-common', 'golang-github-containers-image']

/** The machine's Debian packages, unpacked and not installed. */
export const buildah: Component = {
  name: 'buildah',
  version: release(),
  file: 'usr/bin/buildah',
  needs: { 'apt-get': APT, dpkg: APT },
  async install(folder) {
    const libraries = await withLists(() => librariesOf('buildah'))
    const archives = join(folder, 'archives')
    await mkdir(archives)
    await download(archives, [...PACKAGES, ...libraries, 'patchelf'])
    for (const name of await readdir(archives)) await run('dpkg', ['--extract', join(archives, name), folder])
    await rm(archives, { recursive: true })
    // Its libraries are told in the program itself: it starts itself again without environment, from a copy in memory
    const places = globSync('{usr/,}lib/*-linux-*', { cwd: folder })
    const installed = dirname(dirname(dirname(fileOf(buildah))))
    const path = places.map((place) => join(installed, place)).join(':')
    const args = ['--force-rpath', '--set-rpath', path, join(folder, buildah.file)]
    await run(join(folder, 'usr/bin/patchelf'), args)
  },
  async ask(file) {
    const { stdout } = await run(file, ['--version'])
    return /version (\S+)/.exec(stdout)?.[1] ?? ''
  },
}

/** The libraries that a package needs, and those that they need; libc is the machine's. */
async function librariesOf(root: string): Promise<readonly string[]> {
  const found = new Set([root])
  for (const name of found) {
    const { stdout } = await run('apt-cache', ['depends', name])
    for (const [, library = ''] of stdout.matchAll(/^ *\|?Depends: (lib[^\s]+)$/gm)) {
      if (!/^lib(?:c6|gcc-s1|stdc\+\+6)$/.test(library)) found.add(library)
    }
  }
  found.delete(root)
  return [...found]
}
