//! Keeping the few bytes of a stream that matter, as they pass by.

/// The bytes from `start`, at most `limit` of them. Keeps no more than that.
#[derive(Debug)]
pub(crate) struct Window {
    start: u64,
    limit: usize,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn new(start: u64, limit: usize) -> Self {
        Self { start, limit, bytes: Vec::new() }
    }
    /// The first sector, where most formats have their header.
    pub(crate) fn head() -> Self {
        Self::new(0, 512)
    }
    pub(crate) fn feed(&mut self, at: u64, chunk: &[u8]) {
        let wanted = self.limit - self.bytes.len();
        let next = self.start.saturating_add(self.bytes.len() as u64);
        if wanted == 0 || next < at {
            return;
        }
        let Ok(skip) = usize::try_from(next - at) else { return };
        if let Some(rest) = chunk.get(skip..) {
            self.bytes.extend_from_slice(&rest[..rest.len().min(wanted)]);
        }
    }
    /// The bytes still to come: where, and how many at most.
    pub(crate) fn missing(&self) -> Option<(u64, usize)> {
        let wanted = self.limit - self.bytes.len();
        (wanted > 0).then(|| (self.start.saturating_add(self.bytes.len() as u64), wanted))
    }
    pub(crate) fn is_complete(&self) -> bool {
        self.bytes.len() == self.limit
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The last `limit` bytes of a stream.
#[derive(Debug)]
pub(crate) struct Tail {
    limit: usize,
    bytes: Vec<u8>,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new() }
    }
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let new = &chunk[chunk.len().saturating_sub(self.limit)..];
        let too_many = (self.bytes.len() + new.len()).saturating_sub(self.limit);
        self.bytes.drain(..too_many);
        self.bytes.extend_from_slice(new);
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_cut_from_chunks_of_any_size() {
        let stream: Vec<u8> = (0..=255).collect();
        for size in [1, 3, 7, 64, 256] {
            let mut window = Window::new(10, 20);
            let mut tail = Tail::new(5);
            for (n, chunk) in stream.chunks(size).enumerate() {
                window.feed((n * size) as u64, chunk);
                tail.feed(chunk);
            }
            assert_eq!(window.bytes(), &stream[10..30], "chunks of {size}");
            assert_eq!(tail.bytes(), &stream[251..], "chunks of {size}");
        }
    }

    #[test]
    fn a_window_opened_too_late_stays_empty() {
        let mut window = Window::new(2, 4);
        window.feed(8, b"later");
        assert!(window.bytes().is_empty() && !window.is_complete());
    }
}
