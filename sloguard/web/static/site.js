// Times as the viewer's clock has them. Without this script they stand there in UTC.

const FORMS = {
  full: { dateStyle: "medium", timeStyle: "medium" },
  minute: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
};
const formats = Object.fromEntries(
  Object.entries(FORMS).map(([name, form]) => [name, new Intl.DateTimeFormat(undefined, form)]),
);
const withYear = new Intl.DateTimeFormat(undefined, { ...FORMS.minute, year: "numeric" });

/** Write a moment as this viewer reads it. */
export function written(moment, form) {
  const isOld = form === "minute" && moment.getFullYear() !== new Date().getFullYear();
  return (isOld ? withYear : formats[form] ?? formats.full).format(moment);
}

/** Bring every time below an element into the viewer's zone. */
export function localise(root) {
  for (const time of root.querySelectorAll("time[data-form]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = written(moment, time.dataset.form);
  }
}

localise(document);
