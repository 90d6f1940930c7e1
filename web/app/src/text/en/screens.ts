/** People, groups and settings. */
export const screens = {
  'people.title': 'People',
  'groups.new': 'New group',
  'settings.title': 'Settings',
} as const;
