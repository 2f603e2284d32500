import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { GitChild } from '../../../src/datasets/git/git-program.ts'
import { fetchUploadPack } from '../../../src/datasets/git/native-transfer.ts'
import type { ByteStream } from '../../../src/network/byte-stream.ts'
import { eventually } from '../../support/eventually.ts'

/** A git that has fetched all and is gone, its socket cut instead of closed, as the system does with unread bytes. */
function goneGit(): GitChild {
  const [stdin, stdout, socket] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const ended = new Promise<{ code: number; stderr: string }>((resolve) => {
    setImmediate(() => {
      socket.destroy(new Error('read ECONNRESET'))
      resolve({ code: 0, stderr: '' })
    })
  })
  return { process: {} as ChildProcess, stdin, stdout, socket, ended, kill: () => undefined }
}

/** A server that listens until the client has closed its side, as upload-pack does. */
class PatientServer implements ByteStream {
  readonly peer = 'alice'
  parted = false
  cut = false
  #part: () => void = () => undefined
  readonly #closed = new Promise<void>((resolve) => {
    this.#part = resolve
  })

  async read(): Promise<undefined> {
    await this.#closed
    this.parted = true
  }

  async write(): Promise<void> {
    // What it is asked for does not matter here.
  }

  async closeWrite(): Promise<void> {
    this.#part()
  }

  abort(): void {
    this.cut = true
  }
}

test('a fetch is over when git says so: our side is closed, and nobody waits for the other to part', async () => {
  const stream = new PatientServer()
  const git = { spawn: goneGit }
  const startMs = performance.now()
  await fetchUploadPack(git, '/nowhere', stream, ['a'.repeat(40)], new AbortController().signal)
  assert.ok(performance.now() - startMs < 1_000, 'it waited for courtesies')
  await eventually(() => stream.parted, 'the server was left listening', 2_000)
  assert.equal(stream.cut, false)
})
