import type { TestContext } from 'node:test'

/** A part of a story. The first that fails ends it, since the next begins where this one should have ended. */
export async function chapter(
  t: TestContext,
  name: string,
  tell: (t: TestContext) => Promise<void>,
): Promise<void> {
  let told = false
  await t.test(name, async (t) => {
    await tell(t)
    told = true
  })
  if (!told) throw new Error(`The story ended at "${name}"`)
}
