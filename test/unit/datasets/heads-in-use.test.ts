import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PackRepository } from '../../../src/datasets/git/repository.ts'
import { counted, Use } from '../../../src/datasets/in-use.ts'

/** As much of a repository as these tests look at, with state that only its own methods reach. */
class Small {
  readonly path = '/x'
  #answers = 0

  async hasCommit(): Promise<boolean> {
    this.#answers += 1
    return this.#answers > 0
  }

  async *packObjects(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1)
    yield Uint8Array.of(2)
  }

  async openBlob() {
    return { size: 2, content: this.packObjects() }
  }

  async quarantine() {
    return { admit: async () => undefined, discard: async () => undefined }
  }

  async readCommit(): Promise<never> {
    throw new Error('no such commit')
  }
}

function desk() {
  const use = new Use()
  const repository = counted(new Small() as unknown as PackRepository, use)
  let closed = false
  const close = () => {
    void use.close().then(() => {
      closed = true
    })
  }
  const settled = async () => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
    return closed
  }
  return { use, repository, close, settled }
}

const signal = new AbortController().signal

test('a copy that nobody uses is closed at once, and lets nobody in until it is opened again', async () => {
  const { use, repository, close, settled } = desk()
  assert.equal(await repository.hasCommit('x'), true)
  await assert.rejects(repository.readCommit('x'), /no such commit/)
  close()
  assert.equal(await settled(), true)
  assert.equal(repository.path, '/x')
  // As a promise: whoever calls several things at once must not be left with half of them.
  const refused = repository.hasCommit('x')
  await assert.rejects(refused, { code: 'CONFLICT' })
  await assert.rejects(async () => {
    for await (const _ of repository.packObjects([], [], signal)) assert.fail('something was given')
  })
  use.reopen()
  assert.equal(await repository.hasCommit('x'), true)
})

test('what a call gave is in use until it has come to its end, or was given up', async () => {
  for (const give of [
    async (repository: PackRepository) => repository.packObjects([], [], signal),
    async (repository: PackRepository) => (await repository.openBlob('x')).content,
  ]) {
    const { repository, close, settled } = desk()
    const chunks = (await give(repository))[Symbol.asyncIterator]()
    await chunks.next()
    close()
    assert.equal(await settled(), false)
    await chunks.return?.()
    assert.equal(await settled(), true)
  }
})

test('a quarantine is in use until it is discarded, however often', async () => {
  const { repository, close, settled } = desk()
  const quarantine = await repository.quarantine()
  const other = await repository.quarantine()
  close()
  await quarantine.discard()
  await quarantine.discard()
  assert.equal(await settled(), false)
  await other.discard()
  assert.equal(await settled(), true)
})

test('an iteration that nobody begins keeps nobody from removing a copy', async () => {
  const { repository, close, settled } = desk()
  repository.packObjects([], [], signal)
  close()
  assert.equal(await settled(), true)
})
