// dotnet.exe for Windows, which no package has by itself: finds hostfxr.dll of the one version that is beside it, and has that do everything.
#include <windows.h>
#include <stdio.h>

typedef int (*HOSTFXR_MAIN)(int argc, const WCHAR **argv, const WCHAR *host, const WCHAR *root, const WCHAR *app);

int wmain(int argc, const WCHAR **argv)
{
    WCHAR host[MAX_PATH], root[MAX_PATH], app[MAX_PATH + 16], library[MAX_PATH + 64];
    GetModuleFileNameW(NULL, host, MAX_PATH);
    wcscpy(root, host);
    *wcsrchr(root, L'\\') = 0;
    swprintf(app, MAX_PATH + 16, L"%ls\\dotnet.dll", root);
    swprintf(library, MAX_PATH + 64, L"%ls\\host\\fxr\\" RUNTIME L"\\hostfxr.dll", root);
    HMODULE module = LoadLibraryW(library);
    HOSTFXR_MAIN run = module ? (HOSTFXR_MAIN)(void *)GetProcAddress(module, "hostfxr_main_startupinfo") : NULL;
    if (!run)
    {
        fwprintf(stderr, L"%ls cannot be loaded: %lu\n", library, GetLastError());
        return 1;
    }
    return run(argc, argv, host, root, app);
}
