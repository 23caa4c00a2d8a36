//! Whether two values are the same to one who reads the configuration again.

use super::Watched;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Returns whether both follow the same files, or are the same without any.
    #[must_use]
    pub fn is_like(&self, other: &Self, same: impl Fn(&T, &T) -> bool) -> bool {
        let files = &self.shared.files;
        let are_fixed = files.is_empty();
        *files == other.shared.files && (!are_fixed || same(&self.last(), &other.last()))
    }
}

impl<T: PartialEq + Send + Sync + 'static> PartialEq for Watched<T> {
    /// Returns whether both follow the same files, or are the same without any.
    fn eq(&self, other: &Self) -> bool {
        self.is_like(other, T::eq)
    }
}

impl<T: Eq + Send + Sync + 'static> Eq for Watched<T> {}
