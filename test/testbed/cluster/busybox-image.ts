/** An image for pods of tests, made without a registry and without a builder: one layer with busybox. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Ends when asked to, also as the first process of a container, which no signal ends by itself. */
const WAIT = ['sh', '-c', "trap 'exit 0' TERM INT; sleep 2147483647 & wait"]

/** Writes the archive, as `docker save` would. `busybox` is a static binary; a container without a command waits. */
export async function writeBusyboxImage(name: string, busybox: string, archive: string): Promise<void> {
  const folder = `${archive}.making`
  const root = join(folder, 'root')
  for (const path of ['bin', 'etc']) await mkdir(join(root, path), { recursive: true })
  await mkdir(join(root, 'tmp'), { mode: 0o1777 })
  await cp(busybox, join(root, 'bin/busybox'))
  const { stdout } = await run(busybox, ['--list'])
  for (const applet of stdout.trim().split('\n')) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  const tar = (...args: readonly string[]) => run('tar', ['--create', '--owner=0', '--group=0', ...args])
  await tar('--file', join(folder, 'layer.tar'), '--directory', root, '.')
  const layer = createHash('sha256')
    .update(await readFile(join(folder, 'layer.tar')))
    .digest('hex')
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: WAIT },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(
    join(folder, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  )
  await tar('--file', archive, '--directory', folder, 'manifest.json', 'config.json', 'layer.tar')
  await rm(folder, { recursive: true })
}
