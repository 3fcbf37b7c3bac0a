/** For tests: folders that go away, journals in them, and a disk that fails when it is told to. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../lib/clock.ts'
import { type Disk, type DiskFile, realDisk } from '../disk.ts'
import { Journal, JournalCorrupt, type JournalOptions } from '../journal.ts'

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'deltawire-journal-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** With small segments, and appends that wait for nobody. */
export function openJournal(folder: string, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return Journal.open({ folder, clock: systemClock, fsync: 'always', groupMs: 0, segmentBytes: 100, ...options })
}

/** All records from the cursor on, as text, with their offsets. */
export async function recordsOf(journal: Journal, from?: number): Promise<readonly (readonly [number, string])[]> {
  const found: (readonly [number, string])[] = []
  for await (const frames of journal.read(from)) {
    for (const { offset, payload } of frames) found.push([offset, Buffer.from(payload).toString()])
  }
  return found
}

export async function textsOf(journal: Journal, from?: number): Promise<readonly string[]> {
  return (await recordsOf(journal, from)).map(([, text]) => text)
}

/** The same, after whatever is corrupt was set aside; with what that was. */
export async function mendedRecordsOf(journal: Journal) {
  const damage = [...journal.damage]
  for (;;) {
    try {
      return { records: await recordsOf(journal), damage }
    } catch (error) {
      if (!(error instanceof JournalCorrupt)) throw error
      damage.push(await journal.setAside(error, 'keep-later'))
    }
  }
}

export function append(journal: Journal, ...texts: string[]): Promise<readonly number[]> {
  return journal.append(texts.map((text) => Buffer.from(text)))
}

type Operation = 'create' | 'write' | 'sync' | 'truncate' | 'rename' | 'syncFolder'

/** The real disk, but for what `fails` names. */
export class FaultyDisk implements Disk {
  /** Code of the error that this operation fails with; undefined: it is done. */
  fails: (operation: Operation, path: string) => string | undefined = () => undefined
  readonly done: string[] = []
  readonly makeFolder = realDisk.makeFolder
  readonly list = realDisk.list
  readonly remove = realDisk.remove

  async open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile> {
    if (how === 'create') this.#check('create', path)
    const file = await realDisk.open(path, how)
    let synced = await file.size()
    return {
      ...file,
      write: async (bytes, position) => {
        try {
          this.#check('write', path)
        } catch (error) {
          // a part of it gets there
          await file.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position)
          throw error
        }
        await file.write(bytes, position)
      },
      truncate: async (size) => {
        this.#check('truncate', path)
        await file.truncate(size)
      },
      sync: async () => {
        try {
          this.#check('sync', path)
        } catch (error) {
          // the kernel drops the pages that it could not write
          const lost = (await file.size()) - synced
          if (lost > 0) await file.write(new Uint8Array(lost), synced)
          throw error
        }
        await file.sync()
        synced = await file.size()
      },
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', to)
    await realDisk.rename(from, to)
  }

  async syncFolder(path: string): Promise<void> {
    this.#check('syncFolder', path)
    await realDisk.syncFolder(path)
  }

  #check(operation: Operation, path: string): void {
    const code = this.fails(operation, path)
    this.done.push(operation)
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${operation}`), { code })
  }
}
