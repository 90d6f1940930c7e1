/** What to call this device in the list of devices: `Firefox on Android`. Best effort: the user agent is all there is. */
export function deviceName(userAgent: string): string {
  const has = (part: string) => userAgent.includes(part);
  const browser = has('Edg/')
    ? 'Edge'
    : has('OPR/')
      ? 'Opera'
      : has('Firefox/') || has('FxiOS')
        ? 'Firefox'
        : has('Chrome/') || has('CriOS')
          ? 'Chrome'
          : has('Safari/')
            ? 'Safari'
            : 'Browser';
  const system = has('Android')
    ? 'Android'
    : has('iPhone')
      ? 'iPhone'
      : has('iPad')
        ? 'iPad'
        : has('Windows')
          ? 'Windows'
          : has('Mac OS')
            ? 'Mac'
            : has('CrOS')
              ? 'ChromeOS'
              : has('Linux')
                ? 'Linux'
                : '';
  return system ? `${browser} on ${system}` : browser;
}
