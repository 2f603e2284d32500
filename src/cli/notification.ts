import type { Command } from 'commander'
import { z } from 'zod'
import { deliverySchema, receiverSchema, webhookKeySchema } from '../api/notification-views.ts'
import { notificationViewSchema } from '../api/views.ts'
import { timeText } from './output.ts'
import type { Act, Session } from './session.ts'

type Delivery = z.output<typeof deliverySchema>

export function notificationCommands(program: Command, act: Act): void {
  const notification = program
    .command('notification')
    .description('spikes that members saw, and who outside is told of them')

  notification
    .command('list')
    .description('the last spike that each member saw in each tool')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const spikes = await client.get('/notifications', z.array(notificationViewSchema))
        session.out.result(spikes, () => {
          const rows = spikes.map(({ value }) => {
            const gain = value.gainPercent === undefined ? '-' : `${value.gainPercent.toFixed(2)} %`
            const figures = [String(value.rollingAverage), String(value.value), gain]
            return [value.tool, value.node, timeText(value.timeMs), ...figures, value.run, value.why ?? '']
          })
          return session.out.table(['tool', 'node', 'time', 'average', 'value', 'gain', 'run', 'why'], rows)
        })
      }),
    )

  notification
    .command('receivers')
    .description('who outside is told of spikes and runs (settings notifications.…)')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const receivers = await client.get('/notifications/receivers', z.array(receiverSchema))
        session.out.result(receivers, () => {
          const rows = receivers.map(({ name, kind, events, to }) => [name, kind, events.join(', '), to])
          return session.out.table(['name', 'kind', 'events', 'to'], rows)
        })
      }),
    )

  notification
    .command('key <webhook>')
    .description('what its other end checks signatures with')
    .action(
      act(async (session, webhook: string) => {
        const client = await session.connect()
        const path = `/notifications/receivers/${encodeURIComponent(webhook)}/key`
        const key = await client.get(path, webhookKeySchema)
        if (key.signing === 'hmac') session.out.note('Keep it secret: whoever has it can sign as this node.')
        session.out.result(key, () => key.text)
      }),
    )

  notification
    .command('deliveries')
    .description('what became of each message')
    .option('--state <state>', 'only those that are waiting, delivered or given-up')
    .action(
      act(async (session, { state }: { state?: string }) => {
        const client = await session.connect()
        const query = state === undefined ? '' : `?state=${encodeURIComponent(state)}`
        tell(session, await client.get(`/notifications/deliveries${query}`, z.array(deliverySchema)))
      }),
    )

  notification
    .command('retry <delivery>')
    .description('try one again at once')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const path = `/notifications/deliveries/${encodeURIComponent(id)}/retry`
        tell(session, [await client.post(path, deliverySchema)])
      }),
    )

  notification
    .command('test')
    .description('send everybody who is told anything a message of no meaning')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const sent = await client.post('/notifications/test', z.array(deliverySchema))
        if (sent.length === 0) session.out.note('The settings name nobody (notifications.webhooks, .mail).')
        else session.out.note('"maoctl notification deliveries" shows what becomes of them.')
        tell(session, sent)
      }),
    )
}

function tell(session: Session, deliveries: Delivery[]): void {
  session.out.result(deliveries, () => {
    const rows = deliveries.map(({ id, receiver, message, state, attempts, nextMs }) => {
      const last = attempts.at(-1)?.reason ?? ''
      const next = nextMs === undefined ? '' : timeText(nextMs)
      return [id, receiver, message.subject, state, String(attempts.length), next, last]
    })
    return session.out.table(['delivery', 'to', 'message', 'state', 'attempts', 'next', 'last answer'], rows)
  })
}
