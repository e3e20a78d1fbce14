/* replay.c - runs a fuzz target over files and folders of inputs given on the command line, so
 * that every corpus is an ordinary test where libFuzzer is not built in. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;
    int err = -1;

    if (!file)
        return -1;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (data = malloc((size_t)size + 1)) &&
        fread(data, 1, (size_t)size, file) == (size_t)size) {
        (void)LLVMFuzzerTestOneInput(data, (size_t)size);
        replayed++;
        err = 0;
    }
    free(data);
    (void)fclose(file);
    return err;
}

static int replay_folder(const char *path)
{
    struct dirent *entry;
    char name[4096];
    DIR *folder = opendir(path);
    int err = 0;

    if (!folder)
        return -1;
    while (!err && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        err = replay_file(name);
    }
    (void)closedir(folder);
    return err;
}

int main(int argc, char **argv)
{
    struct stat st;

    for (int i = 1; i < argc; i++) {
        int err = stat(argv[i], &st) == -1 ? -1
                  : S_ISDIR(st.st_mode)    ? replay_folder(argv[i])
                                           : replay_file(argv[i]);
        if (err) {
            (void)fprintf(stderr, "cannot replay %s\n", argv[i]);
            return 1;
        }
    }
    (void)printf("replayed %u inputs\n", replayed);
    return replayed ? 0 : 1;
}
