import { type Command, Option } from 'commander'
import { z } from 'zod'
import { newTokenSchema, renewedSchema, type TokenView, tokenSchema } from '../api/token-routes.ts'
import { SCOPES, type Scope } from '../identity/scopes.ts'
import { parseDuration } from './arguments.ts'
import { type Output, timeText } from './output.ts'
import type { Act } from './session.ts'

const SCOPES_HELP = `
observer  how things go, without what is in datasets
member    works with the node's data, what does not leave it included; its plans count as the node's own
operator  speaks for the node: secrets, approvals, policies, what others wrote
admin     opens everything, tokens included`

export function tokenCommands(program: Command, act: Act): void {
  const token = program.command('token').description('who may use the API of this node, and for what')

  token
    .command('create')
    .argument('<name>', 'what it is for, such as dashboard')
    .description('make a token with a scope and an end; it is shown only now')
    .addOption(new Option('--scope <scope>', 'what it opens').choices(SCOPES).default('observer'))
    .option('--expires <time>', 'how long it is good, such as 30d', parseDuration)
    .addHelpText('after', SCOPES_HELP)
    .action(
      act(async (session, name: string, { scope, expires }: { scope: Scope; expires?: number }) => {
        const client = await session.connect()
        const made = await client.post('/tokens', newTokenSchema, { name, scope, lifeMs: expires })
        session.out.result(made, () => made.token)
        session.out.note(
          `Opens what ${scope}s may do, until ${timeText(made.expiresMs)}. Keep it as a password.`,
        )
      }),
    )

  token
    .command('list')
    .description("list the tokens but the owner's")
    .action(
      act(async (session) => {
        const client = await session.connect()
        const tokens = await client.get('/tokens', z.array(tokenSchema))
        session.out.result(tokens, () => render(session.out, tokens, Date.now()))
      }),
    )

  token
    .command('revoke')
    .argument('<token>', 'its id or name')
    .description('end a token at once')
    .action(
      act(async (session, which: string) => {
        const client = await session.connect()
        const { name } = await client.remove(`/tokens/${encodeURIComponent(which)}`, tokenSchema, {})
        session.out.result({ revoked: name }, () => `The token ${name} opens nothing any more.`)
      }),
    )

  token
    .command('renew')
    .description("replace the owner's token in the data directory")
    .action(
      act(async (session) => {
        await session.confirm("Whoever uses the owner's token has to read it anew. Replace it?")
        const client = await session.connect()
        await client.post('/tokens/owner/renew', renewedSchema)
        session.out.result({ renewed: true }, () => 'The new token stands in api-token; the old one is void.')
      }),
    )
}

function render(out: Output, tokens: readonly TokenView[], nowMs: number): string {
  const rows = tokens.map(({ id, name, scope, expiresMs, usedMs }) => {
    const until = timeText(expiresMs)
    return [
      name,
      scope,
      expiresMs <= nowMs ? out.style('red', `expired ${until}`) : until,
      timeText(usedMs),
      id,
    ]
  })
  return out.table(['name', 'scope', 'good until', 'last used', 'id'], rows)
}
