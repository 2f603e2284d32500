import { setTimeout as sleep } from 'node:timers/promises'

/** Asks every `pauseMs` until `condition` holds; fails with `complaint` after `timeoutMs`. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  complaint: string,
  timeoutMs = 15_000,
  pauseMs = 20,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${complaint} (waited ${timeoutMs} ms)`)
    await sleep(pauseMs)
  }
}
