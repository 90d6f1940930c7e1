/** People, groups and settings. */
export const screens = {
  'people.title': 'الأشخاص',
  'groups.new': 'مجموعة جديدة',
  'settings.title': 'الإعدادات',
};
