// Writes numbers, times and names for people.

const NUMBER = new Intl.NumberFormat("en");
const KINDS = {
  on_message_publish: "Message published",
  on_message_delivered: "Message delivered",
  on_message_acked: "Message acknowledged",
  on_client_connect: "Client asks to connect",
  on_client_connack: "Client accepted or refused",
  on_client_connected: "Client connected",
  on_client_disconnected: "Client disconnected",
  on_client_subscribe: "Client asks to subscribe",
  on_client_unsubscribe: "Client asks to unsubscribe",
  on_session_subscribed: "Subscription begun",
  on_session_unsubscribed: "Subscription ended",
  on_session_terminated: "Session ended",
  on_device_provisioned: "Device is new",
  on_device_status_changed: "Device changed its status",
  on_device_decommissioned: "Device removed",
  on_delivery_failed: "Delivery given up",
  on_webhook_disabled: "Webhook disabled",
  on_application_event: "Application event",
};

/** The names of all kinds of events, as they are configured. */
export const KIND_NAMES = Object.keys(KINDS);

export const MESSAGE_KINDS = ["on_message_publish", "on_message_delivered", "on_message_acked"];

export function kind(name) {
  return KINDS[name] ?? String(name);
}

export function number(value) {
  return typeof value === "number" ? NUMBER.format(value) : "–";
}

/** Returns "1 event" or "3 events". */
export function count(value, singular, plural = `${singular}s`) {
  return `${number(value)} ${value === 1 ? singular : plural}`;
}

export function bytes(value) {
  if (typeof value !== "number") return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(value, 1)) / 10));
  const scaled = value / 1024 ** power;
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`;
}

export function milliseconds(value) {
  if (typeof value !== "number") return "–";
  if (value >= 10_000) return `${Math.round(value / 1000)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 10 ? Math.round(value) : Number(value.toFixed(1))} ms`;
}

/** Returns "3 h" for 10,900 seconds. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} days`;
}

export function ago(time, now = Date.now()) {
  const seconds = (now - time) / 1000;
  if (seconds < -5) return `in ${duration(-seconds)}`;
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`;
}

/** Returns how a status, an outcome or a state is shown: `[level, text]`; level is ok, warn, bad or off. */
export function state(name) {
  const known = {
    enabled: ["ok", "Enabled"],
    disabled: ["off", "Disabled"],
    disabled_due_to_errors: ["bad", "Disabled after errors"],
    delivered: ["ok", "Delivered"],
    retry: ["warn", "Retry"],
    rejected: ["bad", "Rejected"],
    given_up: ["bad", "Given up"],
    waiting: ["warn", "Waiting"],
    dead_letter: ["bad", "Dead letter"],
    dropped: ["bad", "Dropped"],
    unknown: ["off", "Unknown"],
    connected: ["ok", "Connected"],
    disconnected: ["off", "Disconnected"],
    refused: ["bad", "Refused"],
  };
  return known[name] ?? ["off", String(name)];
}
