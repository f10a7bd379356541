#include "devices/pci/dma_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* First fit over a byte a page: a few hundred pages, taken when queues are made. */

#define PAGE 4096u

struct dma_pool {
	uint64_t address;
	uint8_t *base;
	size_t pages;
	pthread_mutex_t lock;
	size_t used_pages;
	bool used[];
};

struct dma_pool *dma_pool_create(uint64_t address, void *base, uint64_t len)
{
	struct dma_pool *pool = calloc(1, sizeof(*pool) + len / PAGE);

	if (!pool)
		return NULL;
	pool->address = address;
	pool->base = base;
	pool->pages = len / PAGE;
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void dma_pool_destroy(struct dma_pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* First of `count` free pages in a row, or pool->pages. */
static size_t find_free(const struct dma_pool *pool, size_t count)
{
	size_t run = 0;

	for (size_t i = 0; i < pool->pages; i++) {
		run = pool->used[i] ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return pool->pages;
}

int dma_pool_alloc(struct dma_pool *pool, size_t len, struct pci_dma *dma)
{
	size_t count = len / PAGE + (len % PAGE != 0), first;

	if (!count)
		return -ENOMEM;
	pthread_mutex_lock(&pool->lock);
	first = find_free(pool, count);
	if (first < pool->pages) {
		memset(&pool->used[first], true, count);
		pool->used_pages += count;
	}
	pthread_mutex_unlock(&pool->lock);
	if (first == pool->pages)
		return -ENOMEM;
	*dma = (struct pci_dma){
		.base = pool->base + first * PAGE,
		.address = pool->address + first * PAGE,
		.len = count * PAGE,
	};
	memset(dma->base, 0, dma->len);
	return 0;
}

void dma_pool_free(struct dma_pool *pool, struct pci_dma *dma)
{
	size_t first = (dma->address - pool->address) / PAGE;

	pthread_mutex_lock(&pool->lock);
	memset(&pool->used[first], false, dma->len / PAGE);
	pool->used_pages -= dma->len / PAGE;
	pthread_mutex_unlock(&pool->lock);
	*dma = (struct pci_dma){ 0 };
}

uint64_t dma_pool_used(struct dma_pool *pool)
{
	uint64_t bytes;

	pthread_mutex_lock(&pool->lock);
	bytes = pool->used_pages * (uint64_t)PAGE;
	pthread_mutex_unlock(&pool->lock);
	return bytes;
}
