/** The few things that a journal asks of a file system, so that tests can let each of them fail. */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Every promise may reject with what the system says, an Error with a `code` such as ENOSPC. */
export interface Disk {
  /** With its parents; nothing if it is there. */
  makeFolder(path: string): Promise<void>
  /** Names in it. */
  list(folder: string): Promise<readonly string[]>
  /** `create`: it must not be there yet, and only its owner may read it. */
  open(path: string, how: 'create' | 'write' | 'read'): Promise<DiskFile>
  /** Replaces what has the new name. */
  rename(from: string, to: string): Promise<void>
  /** Nothing if it is not there. */
  remove(path: string): Promise<void>
  /** Makes durable which names are in it. */
  syncFolder(path: string): Promise<void>
}

export interface DiskFile {
  size(): Promise<number>
  /** Bytes that were read; fewer than the buffer holds only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** All of them; after a rejection any part of them may be there. */
  write(bytes: Uint8Array, position: number): Promise<void>
  truncate(size: number): Promise<void>
  /** Makes content and size durable. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The file system of this machine. */
export const realDisk: Disk = {
  makeFolder: (path) => makeFolder(resolve(path)),
  list: (folder) => readdir(folder),
  async open(path, how) {
    const handle = await open(path, flags[how], 0o600)
    return {
      size: async () => (await handle.stat()).size,
      async read(buffer, position) {
        let done = 0
        while (done < buffer.length) {
          const { bytesRead } = await handle.read(buffer, done, buffer.length - done, position + done)
          if (bytesRead === 0) break
          done += bytesRead
        }
        return done
      },
      async write(bytes, position) {
        // a disk that gets full takes a part first, and refuses the rest
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
        }
      },
      truncate: (size) => handle.truncate(size),
      sync: () => handle.datasync(),
      close: () => handle.close(),
    }
  },
  rename,
  async remove(path) {
    try {
      await unlink(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  },
  async syncFolder(path) {
    const handle = await open(path, constants.O_RDONLY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
}

/** Not `recursive` of Node: where a file system has no room for folders, as /proc, that tries for ever. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (await isFolder(path)) return
    const parent = dirname(path)
    if (codeOf(error) !== 'ENOENT' || (await isFolder(parent))) throw error
    await makeFolder(parent)
    await makeFolder(path)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

const flags = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  write: constants.O_RDWR,
  read: constants.O_RDONLY,
} as const

/** ENOSPC and its like; undefined for what is no error of the system. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
