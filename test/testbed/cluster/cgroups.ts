/** The control groups that a cluster's containers are in: of the kernel, they outlive the namespaces of its node. */
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../../support/eventually.ts'

const CGROUPS = '/sys/fs/cgroup'

/** Roots of the cgroup controllers: one with cgroup v2. */
function controllers(): readonly string[] {
  if (existsSync(join(CGROUPS, 'cgroup.procs'))) return [CGROUPS]
  const folders = readdirSync(CGROUPS, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return folders.map(({ name }) => join(CGROUPS, name))
}

/** Makes one of this name below the root of each controller. */
export async function makeCgroups(name: string): Promise<void> {
  // version 2 has one tree for all controllers, and hands on what its root is told to; version 1 a tree for each
  const list = join(CGROUPS, 'cgroup.controllers')
  if (existsSync(list)) {
    const names = (await readFile(list, 'utf8')).trim().split(' ')
    await writeFile(join(CGROUPS, 'cgroup.subtree_control'), names.map((each) => `+${each}`).join(' '))
  }
  for (const controller of controllers()) await mkdir(join(controller, name), { recursive: true })
}

/** Removes them, with what is below, when nothing runs in them any more. */
export async function removeCgroups(name: string): Promise<void> {
  const remove = async (folder: string): Promise<void> => {
    if (!existsSync(folder)) return
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) await remove(join(folder, entry.name))
    await rmdir(folder)
  }
  const all = controllers().map((controller) => join(controller, name))
  await eventually(
    async () => {
      for (const folder of all) await remove(folder)
      return true
    },
    { what: `the cgroups ${all.join(', ')} are empty` },
  )
}
