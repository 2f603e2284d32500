import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { endingOf } from '../../src/base/ending.ts'

const HOUR_MS = 3_600_000

suite('one signal of several', () => {
  test('ends with the first of them, for its reason', () => {
    const [first, second] = [new AbortController(), new AbortController()]
    const { signal } = endingOf([first.signal, undefined, second.signal])
    assert.equal(signal.aborted, false)
    second.abort('why')
    first.abort('too late')
    assert.equal(signal.reason, 'why')
    assert.equal(endingOf([first.signal]).signal.reason, 'too late')
  })

  test('ends when its time is over', async () => {
    const { signal } = endingOf([], { ms: 5, reason: () => new Error('late') })
    const kept = setInterval(() => undefined, 5)
    while (!signal.aborted) await sleep(5)
    clearInterval(kept)
    assert.equal(signal.reason.message, 'late')
  })

  test('leaves nothing behind once it is released', () => {
    const stopping = new AbortController()
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    for (let i = 0; i < 100; i += 1) {
      const reason = () => new Error('late')
      const { signal, release } = endingOf([stopping.signal], { ms: HOUR_MS, reason })
      signal.addEventListener('abort', () => undefined)
      release()
      stopping.signal.throwIfAborted()
      assert.equal(signal.aborted, false)
    }
    assert.equal(getEventListeners(stopping.signal, 'abort').length, 0)
    assert.equal(timers(), before)
  })
})
