import { loadMailer, loadWebhooks } from "../../deps.ts";
import { type Delivery, type DeliveryLimits, postJson, withDeadline } from "../outbox/delivery.ts";
import type { OutboxSink } from "../outbox/sender.ts";
import type { Notification, RunStore } from "../stores/runs/port.ts";
import { type Message, messageOf } from "./message.ts";

/** Where notifications are sent. */
export interface NotificationSettings {
  /** `secret` is as Standard Webhooks has it: `whsec_` and bytes in base64. */
  readonly webhook: { readonly url: URL; readonly secret: string } | null;
  /** An address that takes messages in the shape of Slack's incoming webhooks. It is a secret. */
  readonly slack: URL | null;
  readonly email: { readonly smtp: URL; readonly from: string; readonly to: readonly string[] } | null;
}

/** A place that notifications are sent to. */
interface Notifier {
  /** Names it among all. */
  readonly sink: "webhook" | "slack" | "email";
  readonly host: string;
  /** Never throws: an abort by the signal is a failure too. */
  send(message: Message, limits: DeliveryLimits): Promise<Delivery>;
}

/** Those that are configured. */
export function notifiersOf({ webhook, slack, email }: NotificationSettings): Notifier[] {
  return [
    ...webhook === null ? [] : [webhookNotifier(webhook)],
    ...slack === null ? [] : [slackNotifier(slack)],
    ...email === null ? [] : [emailNotifier(email)],
  ];
}

/** When a message is sent again that was refused: a setting or the receiver has to be corrected first. */
const REFUSED_RETRY_MS = 600_000;

/** The notifications of a run store for one place, in order: none overtakes one that could not be delivered. */
export function notificationSink(
  outbox: Pick<RunStore, "takeNotifications" | "markNotified">,
  { sink, host, send }: Notifier,
): OutboxSink<Notification & { readonly due_at?: never }> {
  return {
    name: `${sink} sink`,
    host,
    // Sent within the time for which they are hidden from others, or two processes could mix them up.
    batch: 5,
    take: (options) => outbox.takeNotifications({ sink, ...options }),
    markSent: ({ entries, again_at }) =>
      outbox.markNotified({
        sink,
        seq: again_at === null ? entries.at(-1)!.seq : entries[0]!.seq - 1,
        due_at: again_at ?? 0,
      }),
    send: async (notification, limits) => {
      const delivery = await send(messageOf(notification), limits);
      return delivery.kind === "refused"
        ? { ...delivery, kind: "failed", retry_after_ms: REFUSED_RETRY_MS }
        : delivery;
    },
    nameOf: ({ type }) => type,
  };
}

/** Posts messages that are signed by the rules of Standard Webhooks. */
function webhookNotifier({ url, secret }: { url: URL; secret: string }): Notifier {
  const settings = { url: "PARLEY_NOTIFY_WEBHOOK", key: "PARLEY_NOTIFY_WEBHOOK_SECRET" };
  return {
    sink: "webhook",
    host: url.host,
    send: async ({ id, type, at, ...rest }, limits) => {
      const { Webhook } = await loadWebhooks();
      const body = JSON.stringify({
        type,
        timestamp: at,
        data: { title: rest.title, text: rest.text, ...rest.data },
      });
      const sent_at = new Date();
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(sent_at.getTime() / 1_000)),
        "webhook-signature": new Webhook(secret).sign(id, sent_at, body),
      };
      return await postJson({ url, headers, body, settings }, limits);
    },
  };
}

/** Posts messages in the shape that Slack's incoming webhooks take, and others, such as Mattermost's. */
function slackNotifier(url: URL): Notifier {
  const settings = { url: "PARLEY_NOTIFY_SLACK", key: "PARLEY_NOTIFY_SLACK" };
  const escape = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return {
    sink: "slack",
    host: url.host,
    send: ({ title, text }, limits) => {
      const body = JSON.stringify({ text: `*${escape(title)}*\n${escape(text)}` });
      return postJson({ url, headers: {}, body, settings }, limits);
    },
  };
}

/** Sends messages by SMTP, encrypted if the server offers it; always with `smtps:`. */
function emailNotifier({ smtp, from, to }: { smtp: URL; from: string; to: readonly string[] }): Notifier {
  return {
    sink: "email",
    host: smtp.host,
    send: (message, limits) =>
      withDeadline(limits, async (signal) => {
        const { createTransport } = await loadMailer();
        const mailer = createTransport(smtp.href);
        signal.addEventListener("abort", () => mailer.close());
        try {
          await mailer.sendMail({
            messageId: `<${message.id}@${from.split("@").at(-1)}>`,
            from,
            to: [...to],
            subject: message.title,
            text: `${message.text}\n\n${message.at}`,
          });
          return { kind: "taken" };
        } catch (error) {
          const reason = MAIL_FAILURES[(error as { code?: string }).code ?? ""];
          if (signal.aborted || reason === undefined) throw error;
          return { kind: "failed", reason, retry_after_ms: REFUSED_RETRY_MS };
        } finally {
          mailer.close();
        }
      }),
  };
}

/** What a setting has to be changed for, by nodemailer's codes. */
const MAIL_FAILURES: Readonly<Record<string, string>> = {
  EAUTH: "refuses the login: see PARLEY_SMTP",
  EENVELOPE: "refuses the addresses: see PARLEY_NOTIFY_EMAIL and PARLEY_NOTIFY_FROM",
  EMESSAGE: "refuses the message",
};
